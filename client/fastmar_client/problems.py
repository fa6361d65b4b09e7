"""What may be wrong with a value in a column, in the words that the model itself would use."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

FLOAT32_MAX = 3.4028234663852886e38
NUMBER, CATEGORY, DATE = "number", "category", "date"

SEND_DATE = 'send it as "2024-01-31" or "2024-01-31T08:30:00".'
_SHOWN = 80  # characters of a user's value that a message repeats
_NULL_WORDS = "#N/A|#N/A N/A|#NA|-1.#IND|-1.#QNAN|-NaN|-nan|1.#IND|1.#QNAN|<NA>|N/A|NA|NULL|NaN|None|n/a|nan|null"
_NULLS = frozenset(["", *_NULL_WORDS.split("|")])  # the words for null in a CSV
_BOOLS = ("True", "TRUE", "true", "False", "FALSE", "false")
_NEAR = 3  # categories that a fix names

Weight = Literal["refused", "ignored", "unusual"]


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a record.

    Attributes:
        weight: "refused" where the model gives no answer; "ignored" where it answers as if the value were not there;
            "unusual" where it takes the value, but a person may want to look.
        code: a stable name, the model's own where it has one.
        field: the column, or None for the whole record.
        message: what was found.
        fix: what to do.
        value: what stands in the column.
    """

    weight: Weight
    code: str
    field: str | None
    message: str
    fix: str
    value: Any = None

    def as_warning(self) -> dict[str, Any]:
        """In the form of an answer's warnings."""
        return {"field": self.field, "code": self.code, "value": self.value, "message": self.message}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a record.

    Attributes:
        name: as records have it.
        kind: "number", "category", "date", or another that is not checked.
        nullable: whether null may stand in it.
        default: a plausible value.
        categories: the values that are known, of a category.
        all_listed: whether these are all of them; a schema lists a thousand at most.
        minimum, maximum: of a number in the reference data of the export, where there was some.
    """

    name: str
    kind: str
    nullable: bool = True
    default: Any = None
    categories: tuple[Any, ...] = ()
    all_listed: bool = True
    minimum: float | None = None
    maximum: float | None = None

    @classmethod
    def of(cls, name: str, schema: Mapping[str, Any]) -> Column:
        """The column that a property of a record's JSON Schema describes."""
        ours = schema.get("x-fastmar", {})
        categories = tuple(ours.get("categories", ()))
        return cls(
            name,
            kind=ours.get("kind", ""),
            nullable="null" in schema.get("type", ()),
            default=schema.get("default"),
            categories=categories,
            all_listed=ours.get("category_count", len(categories)) == len(categories),
            minimum=ours.get("minimum"),
            maximum=ours.get("maximum"),
        )

    def problems(self, value: Any) -> Iterator[Problem]:
        """What is wrong with a value, in JSON's types, in this column."""
        if self.kind == NUMBER:
            yield from _number_problems(value, self)
        elif self.kind == CATEGORY:
            yield from _category_problems(value, self)
        elif self.kind == DATE:
            yield from _date_problems(value, self)


def shown(value: Any) -> str:
    """`value` for a message: its repr, cut to a length that fits a line."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text):,} characters)"


def as_date(value: Any) -> datetime | None:
    """The date that a text is in ISO 8601, or None."""
    try:
        return datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
    except ValueError:
        return None


def _number_problems(value: Any, column: Column) -> Iterator[Problem]:
    name = column.name
    if value is None:
        if not column.nullable:
            message = f"{name!r} is null, and no missing values were seen in it when the model was trained."
            fix = f"send a number for {name!r}, or train with missing values in it."
            yield Problem("refused", "null_not_filled", name, message, fix)
    elif isinstance(value, str) and not isinstance(number := _read_number(value), str):
        message = f"{name!r} is the text {shown(value)}; it is read as {'null' if number is None else number!r}."
        yield Problem("unusual", "number_as_text", name, message, "send the number without quotation marks.", value)
        yield from _number_problems(number, column)
    elif not isinstance(value, int | float):
        message = f"{name!r} is {shown(value)}, where a number belongs."
        yield Problem("refused", "not_a_number", name, message, "send a number.", value)
    elif not -FLOAT32_MAX <= value <= FLOAT32_MAX:
        message = f"{name!r} is {shown(value)}, which is over the largest number that the model can take."
        fix = f"send a finite number of at most {FLOAT32_MAX:.3g} in size."
        yield Problem("refused", "out_of_range", name, message, fix, value)
    elif told := _range_left(value, column):
        message = f"{name!r} is {shown(value)}, and the reference data has {told}."
        yield Problem("unusual", "outside_training", name, message, "check the number and its unit.", value)


def _range_left(value: float, column: Column) -> str | None:
    """The range of the reference data, where a number is outside of it."""
    least, most = column.minimum, column.maximum
    if (least is None or value >= least) and (most is None or value <= most):
        return None
    if least is None:
        return f"at most {most:g}"
    return f"at least {least:g}" if most is None else f"{least:g} to {most:g}"


def _read_number(text: str) -> Any:
    """A number, bool or null, as the model reads it from a cell of a CSV; other text stays as it is."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return text.lower() == "true"
    try:
        number = text if "_" in text else float(text)
    except ValueError:
        return text
    return None if number != number else number  # noqa: PLR0124 - NaN is null


def _category_problems(value: Any, column: Column) -> Iterator[Problem]:
    name = column.name
    if value is None:
        return
    if not isinstance(value, str | int | float):
        message = f"{name!r} is {shown(value)}, where one category belongs."
        yield Problem("refused", "not_a_value", name, message, "send one string, number, true, false or null.", value)
    elif column.all_listed and not _is_known(value, column.categories):
        meant = _but_for_white_space(value, column.categories)
        if meant is not None:
            message = f"taken as {meant!r}: the two differ only in white space around them."
            yield Problem("unusual", "category_whitespace", name, message, f"send {meant!r}.", value)
        else:
            yield _unknown(value, column)


def _is_known(value: Any, categories: tuple[Any, ...]) -> bool:
    """As the model matches: 1 is 1.0, a bool is never among categories that are all numbers, and dates are dates."""
    if isinstance(value, bool) and all(type(known) in (int, float) for known in categories):
        return False
    if value in categories:
        return True
    date = as_date(value)
    return date is not None and any(as_date(known) == date for known in categories)


def _but_for_white_space(value: Any, categories: tuple[Any, ...]) -> str | None:
    if not isinstance(value, str):
        return None
    meant = [known for known in categories if isinstance(known, str) and known.strip() == value.strip()]
    return meant[0] if len(meant) == 1 else None


def _unknown(value: Any, column: Column) -> Problem:
    message = f"the model was not trained with {shown(value)}."
    text = value if isinstance(value, str) else shown(value)
    printed = next((known for known in column.categories if str(known) == text), None)
    if printed is not None:
        message += f" Did you mean {printed!r} ({type(printed).__name__})? Categories are matched with their type."
    texts = [known for known in column.categories if isinstance(known, str)]
    near = difflib.get_close_matches(text, texts, _NEAR) or column.categories[:_NEAR]
    fix = f"send one of its {len(column.categories)} categories, such as {', '.join(map(repr, near))}."
    return Problem("ignored", "unknown_category", column.name, message, fix, value)


def _date_problems(value: Any, column: Column) -> Iterator[Problem]:
    name = column.name
    if value is None and not column.nullable:
        message = f"the date {name!r} is null, and no missing dates were seen when the model was trained."
        yield Problem("refused", "null_not_filled", name, message, 'send it as "2024-01-31".')
    elif value is not None and not isinstance(value, str):
        message = f"{name!r} is {shown(value)}, where a date belongs."
        yield Problem("refused", "not_a_date", name, message, SEND_DATE, value)
