"""Models of every kind of record and answer, and one whose columns and labels are hostile to generators."""

from __future__ import annotations

from fastmar_runtime.spec import CATEGORY, NUMBER, Field
from tests.runtime import tiny, tiny_pictures

USUAL_NAMES = ("age", "capital-gain", "native country", "my.col", "price (€)", "Sales2024", "année")
HOSTILE_NAMES = (
    *USUAL_NAMES,
    *("1st", "0", "1", "_", "", " ", "日本語", "日本", "%", "pct%", "c++", "#n", "x" * 70),
    *('a"b', "back\\slash", "new\nline", "</script>", "*/", "${x}", "\\u002a/", "'", "`", "\u2028"),
    *("a-b", "a_b", "a b", "Case", "case", "up", "up_"),
    *("class", "self", "None", "func", "type", "from", "return", "package", "int", "list", "map", "error", "field"),
    *("to_dict", "from_dict", "toString", "getClass", "hash", "json", "schema", "model_config", "string"),
    *("additional_properties", "constructor", "__proto__", "nullable", "example", "properties", "$ref", "required"),
)
HOSTILE_TEXTS = (
    "a",
    "*/",
    "/*",
    "\\u002a/",
    '"""',
    "'''",
    "${x}",
    "</script><b>",
    "{{x}}",
    "`rm`",
    "\u2028",
    "<50k",
    ">=50k",
)


def _hostile(name: str, number: int) -> Field:
    if number % 2:
        return Field(name, CATEGORY, categories=HOSTILE_TEXTS, default="*/")
    return Field(name, NUMBER, nullable=bool(number % 4), default=1.5)


HOSTILE_FIELDS = tuple(_hostile(name, number) for number, name in enumerate(HOSTILE_NAMES))
MANY = {"decoder": "category", "vocab": [f"label {n}" for n in range(120)], "activation": "softmax", "top": 10}
MIXED = (
    Field("any", CATEGORY, categories=("a", 1, True), default="a"),
    Field("half", CATEGORY, categories=(1, 2.5), default=1),
    Field("day", CATEGORY, categories=({"timestamp": "2024-01-31T00:00:00"},)),
    Field("empty", CATEGORY),
)

TABLES = {
    "category": tiny.spec(),
    "several labels": tiny.spec(decode=tiny.MULTI_DECODER),
    "number": tiny.spec(decode=tiny.ONE_NUMBER_DECODER),
    "numbers": tiny.spec(decode=tiny.TWO_NUMBERS_DECODER),
    "raw": tiny.spec(decode=tiny.RAW_DECODER),
    "date": tiny.date_spec(),
    "120 labels": tiny.spec(decode=MANY),
    "mixed": tiny.spec(fields=MIXED),
    "hostile": tiny.spec(
        name="hostile",
        fields=HOSTILE_FIELDS,
        decode={"decoder": "category", "vocab": list(HOSTILE_TEXTS), "activation": "softmax"},
        targets=("*/ </script>",),
        notices=({"code": "x", "message": "<img src=x onerror=alert(1)>"},),
    ),
}
PICTURES = {
    "picture": tiny_pictures.spec(),
    "picture, several labels": tiny_pictures.spec(decode=tiny_pictures.SEVERAL),
    "picture, numbers": tiny_pictures.spec(decode=tiny_pictures.NUMBERS),
    "points": tiny_pictures.spec(decode=tiny_pictures.POINTS),
    "mask": tiny_pictures.spec(decode=tiny_pictures.MASK),
}
MODELS = TABLES | PICTURES
