"""What may be wrong with a value in a column, in the words that the model itself would use."""

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

_NEAR = 3  # categories that a fix names, where none is similar

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

    @classmethod
    def refusal(cls, error: RecordError, value: Any) -> Problem:
        """The problem that the model would refuse the record for."""
        return cls("refused", error.code, error.field, error.message, error.fix, value)

    def as_warning(self) -> dict[str, Any]:
        """In the form of an answer's warnings."""
        return {"field": self.field, "code": self.code, "value": self.value, "message": self.message}


@dataclass(frozen=True)
class Column:
    """A column of a record.

    Attributes:
        name: as records have it.
        kind: "number", "category", "date", or another, whose values are compared with `types` and `options` alone.
        nullable: whether null may stand in it.
        default: a plausible value.
        categories: the values that are known, of a category.
        all_listed: whether these are all of them; a schema lists a thousand at most.
        minimum, maximum: of a number in the reference data of the export, where there was some.
        types: JSON types of its values; empty where the schema does not say.
        options: the values of its `enum`; empty where it has none.
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
        """The column that a property of a record's JSON Schema describes."""
        ours = schema.get("x-fastmar", {})
        types = types_of(schema)
        categories = tuple(ours.get("categories", ()))
        return cls(
            name,
            kind=ours.get("kind", ""),
            nullable="null" in types or None in schema.get("enum", ()),
            default=schema.get("default"),
            categories=categories,
            all_listed=ours.get("category_count", len(categories)) == len(categories),
            minimum=ours.get("minimum"),
            maximum=ours.get("maximum"),
            types=types,
            options=tuple(schema.get("enum", ())),
        )

    @property
    def fits_a_cell(self) -> bool:
        """Whether a cell of a CSV can hold its values."""
        return not self.types or not {"object", "array", "null"}.issuperset(self.types)

    def cell_reader(self) -> Callable[[str], Any]:
        """What reads its cells in a CSV."""
        if self.kind in CHECKS:
            return cell_reader(self.kind, self.categories)
        if self.options:
            by_text = {each if isinstance(each, str) else json.dumps(each): each for each in self.options}
            return lambda cell: by_text.get(cell, None if self.nullable and not cell else cell)
        return partial(from_text, types=self.types)

    @cached_property
    def vocabulary(self) -> Categories:
        """The categories as the model matches them; a schema has dates as text."""
        return Categories(map(_category, self.categories))

    def problems(self, value: Any) -> Iterator[Problem]:
        """What is wrong with a value, in JSON's types, in this column."""
        check = CHECKS.get(self.kind)
        if check is None:
            yield from self._unfit(value)
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

    def _unfit(self, value: Any) -> Iterator[Problem]:
        if self.options and value not in self.options:
            message = f"{self.name!r} is {short_repr(value)}, which is not one of its {len(self.options)} values."
            fix = f"send one of them, such as {', '.join(map(repr, self.options[:_NEAR]))}."
            yield Problem("refused", "bad_option", self.name, message, fix, value)
        elif self.types and not fits(value, self.types):
            wanted = " or ".join(self.types)
            message = f"{self.name!r} is {short_repr(value)}, where a value of the type {wanted} belongs."
            yield Problem("refused", "wrong_type", self.name, message, f"send a value of the type {wanted}.", value)

    def _unusual_number(self, sent: Any, read: Any) -> Iterator[Problem]:
        if isinstance(sent, str):
            message = number_as_text(self.name, sent, read)
            fix = "send the number without quotation marks."
            yield Problem("unusual", "number_as_text", self.name, message, fix, sent)
        if read is not None and (known := _range_left(read, self)):
            message = f"{self.name!r} is {short_repr(read)}, and the reference data has {known}."
            yield Problem("unusual", "outside_training", self.name, message, "check the number and its unit.", sent)

    def _unknown_category(self, value: Any) -> Iterator[Problem]:
        if self.vocabulary.code(value):
            return
        near = self.vocabulary.find_near_miss(value)
        if near.warning is None:
            return
        if near.warning == UNKNOWN:
            some = self.categories[:_NEAR] if near.similar is None else (near.similar,)
            fix = f"send one of its {len(self.categories)} categories, such as {', '.join(map(repr, some))}."
            yield Problem("ignored", near.warning, self.name, near.message, fix, value)
        else:
            fix = f"send {self.categories[near.category_code - 1]!r}."
            yield Problem("unusual", near.warning, self.name, near.message, fix, value)


def _category(value: Any) -> Any:
    """A category of a schema: an ISO 8601 date with a time, as the schema writes dates, is a date."""
    date = as_date(value)
    return date if date is not None and "T" in value and date.isoformat() == value else value


def _range_left(value: float, column: Column) -> str | None:
    """The range of the reference data, where a number is outside of it."""
    least, most = column.minimum, column.maximum
    if (least is None or value >= least) and (most is None or value <= most):
        return None
    if least is None:
        return f"at most {most:g}"
    return f"at least {least:g}" if most is None else f"{least:g} to {most:g}"
