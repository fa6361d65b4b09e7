"""Validation of the values of a column, with the model's own messages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

from fastmar_client.json_schema import fits, from_text, types_of
from fastmar_contract.categories import UNKNOWN, Categories
from fastmar_contract.display import short_repr
from fastmar_contract.errors import RecordError
from fastmar_contract.values import CATEGORY, CHECKS, NUMBER, as_date, cell_reader, number_as_text

_EXAMPLES = 3  # categories in a fix, if none is similar

Weight = Literal["refused", "ignored", "unusual"]


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of a record.

    Attributes:
        weight: "refused" if the model refuses the record; "ignored" if it ignores the value; "unusual" if it uses the
            value, which may still be a mistake.
        code: stable name of the problem; the model's, if the model reports it too.
        field: the column, or None for the whole record.
        message: what was found.
        fix: what to do about it.
        value: the value in the column.
    """

    weight: Weight
    code: str
    field: str | None
    message: str
    fix: str
    value: Any = None

    @classmethod
    def refusal(cls, error: RecordError, value: Any) -> Problem:
        """A problem for which the model would refuse the record."""
        return cls("refused", error.code, error.field, error.message, error.fix, value)

    def as_warning(self) -> dict[str, Any]:
        """The problem in the format of an answer's warnings."""
        return {"field": self.field, "code": self.code, "value": self.value, "message": self.message}


@dataclass(frozen=True)
class Column:
    """A column of a record.

    Attributes:
        name: its name.
        kind: "number", "category", "date", or another kind, which is validated against `types` and `options` only.
        nullable: whether null is allowed.
        default: a plausible value.
        categories: the known values of a category.
        all_listed: whether `categories` is complete; a schema lists at most a thousand.
        minimum, maximum: range of a number in the reference data of the export; None without reference data.
        types: JSON types of its values; empty if the schema has none.
        options: the values of its `enum`; empty if it has none.
    """

    name: str
    kind: str
    nullable: bool = True
    default: Any = None
    categories: tuple[Any, ...] = ()
    all_listed: bool = True
    minimum: float | None = None
    maximum: float | None = None
    types: tuple[str, ...] = ()
    options: tuple[Any, ...] = ()

    @classmethod
    def of(cls, name: str, schema: Mapping[str, Any]) -> Column:
        """The column of a property of a record's JSON Schema."""
        extension = schema.get("x-fastmar", {})
        types = types_of(schema)
        categories = tuple(extension.get("categories", ()))
        return cls(
            name,
            kind=extension.get("kind", ""),
            nullable="null" in types or None in schema.get("enum", ()),
            default=schema.get("default"),
            categories=categories,
            all_listed=extension.get("category_count", len(categories)) == len(categories),
            minimum=extension.get("minimum"),
            maximum=extension.get("maximum"),
            types=types,
            options=tuple(schema.get("enum", ())),
        )

    @property
    def fits_a_cell(self) -> bool:
        """Whether a cell of a CSV can hold its values."""
        return not self.types or not {"object", "array", "null"}.issuperset(self.types)

    def cell_reader(self) -> Callable[[str], Any]:
        """A function that parses its cells in a CSV."""
        if self.kind in CHECKS:
            return cell_reader(self.kind, self.categories)
        if self.options:
            by_text = {each if isinstance(each, str) else json.dumps(each): each for each in self.options}
            return lambda cell: by_text.get(cell, None if self.nullable and not cell else cell)
        return partial(from_text, types=self.types)

    @cached_property
    def vocabulary(self) -> Categories:
        """The categories, matched as the model matches them; a schema has dates as text."""
        return Categories(map(_category, self.categories))

    def problems(self, value: Any) -> Iterator[Problem]:
        """The problems of a value of this column, in JSON's types."""
        check = CHECKS.get(self.kind)
        if check is None:
            yield from self._wrong_type(value)
            return
        try:
            read = check(value, self)
        except RecordError as error:
            yield Problem.refusal(error, value)
            return
        if self.kind == NUMBER:
            yield from self._unusual_number(value, read)
        elif self.kind == CATEGORY and read is not None and self.all_listed:
            yield from self._unknown_category(read)

    def _wrong_type(self, value: Any) -> Iterator[Problem]:
        if self.options and value not in self.options:
            message = f"{self.name!r} must be one of {len(self.options)} values; got {short_repr(value)}."
            fix = f"send one of them, such as {', '.join(map(repr, self.options[:_EXAMPLES]))}."
            yield Problem("refused", "bad_option", self.name, message, fix, value)
        elif self.types and not fits(value, self.types):
            types = " or ".join(self.types)
            message = f"{self.name!r} must be of type {types}; got {short_repr(value)}."
            yield Problem("refused", "wrong_type", self.name, message, f"send a value of type {types}.", value)

    def _unusual_number(self, sent: Any, read: Any) -> Iterator[Problem]:
        if isinstance(sent, str):
            message = number_as_text(self.name, sent, read)
            fix = "send the number without quotation marks."
            yield Problem("unusual", "number_as_text", self.name, message, fix, sent)
        if read is not None and (known := _exceeded_range(read, self)):
            message = f"{self.name!r} is {short_repr(read)}; the reference data has {known}."
            yield Problem("unusual", "outside_training", self.name, message, "check the number and its unit.", sent)

    def _unknown_category(self, value: Any) -> Iterator[Problem]:
        if self.vocabulary.code(value):
            return
        found = self.vocabulary.interpret(value)
        if found.warning is None:
            return
        if found.warning == UNKNOWN:
            some = self.categories[:_EXAMPLES] if found.similar is None else (found.similar,)
            fix = f"send one of its {len(self.categories)} categories, such as {', '.join(map(repr, some))}."
            yield Problem("ignored", found.warning, self.name, found.message, fix, value)
        else:
            fix = f"send {self.categories[found.category_code - 1]!r}."
            yield Problem("unusual", found.warning, self.name, found.message, fix, value)


def _category(value: Any) -> Any:
    """Parse a category of a schema, where a date is written in ISO 8601 with its time."""
    date = as_date(value)
    return date if date is not None and "T" in value and date.isoformat() == value else value


def _exceeded_range(value: float, column: Column) -> str | None:
    """The range of the reference data, if a number is outside of it."""
    low, high = column.minimum, column.maximum
    if (low is None or value >= low) and (high is None or value <= high):
        return None
    if low is None:
        return f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
