"""Specs of all kinds of records and answers, and one with names and labels that break client generators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastmar_contract.values import CATEGORY, NUMBER
from fastmar_runtime.spec import Field, Spec
from tests.runtime import tiny, tiny_pictures, tiny_ratings

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

NAMES = {"workclass": "native country", "grade": "class", "vip": "für", "age": "capital-gain", "hours": "1st"}
RECORD = {NAMES[name]: value for name, value in tiny.record().items()}


def awkward_spec() -> Spec:
    """The tiny model with columns that are not identifiers, and categories that end comments in code."""

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {renamed(key): renamed(each) for key, each in value.items()}
        if isinstance(value, list):
            return [renamed(each) for each in value]
        if isinstance(value, str) and value.removesuffix("_na") in NAMES:
            return NAMES[value.removesuffix("_na")] + ("_na" if value.endswith("_na") else "")
        return value

    known = (*tiny.FIELDS[0].categories, *HOSTILE_TEXTS)
    steps = tuple(renamed(step) for step in tiny.STEPS)
    steps[1]["vocabularies"]["native country"] = list(known)
    first, *others = (replace(field, name=NAMES[field.name]) for field in tiny.FIELDS)
    return tiny.spec(name="awkward", fields=(replace(first, categories=known), *others), steps=steps)


TABLES = {
    "category": tiny.spec(),
    "several labels": tiny.spec(decode=tiny.MULTI_DECODER),
    "number": tiny.spec(decode=tiny.ONE_NUMBER_DECODER),
    "numbers": tiny.spec(decode=tiny.TWO_NUMBERS_DECODER),
    "raw": tiny.spec(decode=tiny.RAW_DECODER),
    "date": tiny.date_spec(),
    "120 labels": tiny.spec(decode=MANY),
    "mixed": tiny.spec(fields=MIXED),
    "recommender": tiny_ratings.spec(),
    "awkward": awkward_spec(),
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
