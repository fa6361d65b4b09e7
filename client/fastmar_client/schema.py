"""A model's schema, and records compared with it before they are sent."""

from __future__ import annotations

import difflib
import os
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastmar_client.encoding import Part, as_read
from fastmar_client.errors import RecordRefused
from fastmar_client.json_schema import fits, types_of
from fastmar_client.kinds import kind_of
from fastmar_client.problems import Column, Problem
from fastmar_contract.display import short_repr
from fastmar_contract.values import as_date, invalid_date, missing_date, not_an_object

_AN_OBJECT = "a record is an object with a value for each column."
_OF_NO_DATE = "Is_"  # in the names of a date's parts that are false, rather than missing, of a date that is missing


@dataclass(frozen=True, slots=True)
class DateRule:
    """A date that comes under one of `names`, or as all of its `parts`."""

    names: tuple[str, ...]
    parts: tuple[str, ...]

    def value(self, record: Mapping[str, Any]) -> Any:
        """The date in a record."""
        return next((record[name] for name in self.names if name in record), None)

    def absent(self, names: Container[str]) -> list[str]:
        """Parts to be computed from the date; where there are none, of its names only the first is its own."""
        return [part for part in self.parts if part not in names]


class Schema:
    """What a model takes and gives: `Client.schema(name)` with its parts at hand, and a check of records.

    schema = Schema(client.schema("adult"))
    for problem in schema.problems({"age": "old"}):
        print(problem.field, problem.message, problem.fix)

    Attributes:
        described: the schema as the server gives it.
        name, version: of the model.
        kind: what it reads: "tabular", "vision", or another that its server knows.
        traits: what is known of the kind besides; see `kinds`.
        columns: of a record, by name.
        required: names of those that a record must have.
    """

    def __init__(self, described: Mapping[str, Any]) -> None:
        record = described.get("record") or {}
        version = described.get("version")
        self.described = described
        self.name = str(described.get("name"))
        self.version = None if version is None else str(version)
        self.kind = str(described.get("kind"))
        self.traits = kind_of(self.kind)
        self.required = tuple(record.get("required", ()))
        properties = record.get("properties", {})
        properties = {**properties, **{name: {} for name in self.required if name not in properties}}
        self.columns = {name: Column.of(name, each) for name, each in properties.items()}
        self._types = types_of(record)
        self._dates = tuple(_date_rule(rule["anyOf"]) for rule in record.get("allOf", ()) if "anyOf" in rule)

    @property
    def dates(self) -> tuple[str, ...]:
        """Dates that a record must have if it has not all of their parts, by the first of their names."""
        return tuple(rule.names[0] for rule in self._dates)

    @property
    def names(self) -> set[str]:
        """All names that a record's columns may have: a date may have several."""
        return {*self.columns, *(name for rule in self._dates for name in rule.names)}

    @property
    def reads_csv(self) -> bool:
        """Whether a row of a table can be a record: each column that a record must have takes text, a number or a bool.

        A model of an unlisted kind gets its rows as JSON.
        """
        if self.traits.reads_csv is not None:
            return self.traits.reads_csv
        needed = self.required or self.columns
        return bool(self.columns) and all(self.columns[name].fits_a_cell for name in needed)

    def leaves_out(self, name: str, cell: str) -> bool:
        """Whether a row's record is sent without a cell: it is empty, and the column may be missing."""
        return not cell and self.traits.reads_csv is None and name not in self.required

    def problems(self, record: Any) -> list[Problem]:
        """Everything that is wrong with a record; nothing where nothing is."""
        if isinstance(record, str):
            return [] if self.traits.reads_files or "string" in self._types else [self._no_record(record)]
        if isinstance(record, bytes | bytearray | os.PathLike | Part):
            return [self._no_record(record)] if self.traits.reads_files is False else []
        try:
            plain = as_read(record)
        except RecordRefused as error:
            return [Problem("refused", error.code, None, error.message, error.fix)]
        if not isinstance(plain, dict):
            if fits(plain, self._types):
                return []
            return [Problem.refusal(not_an_object(plain), plain)]
        if self.traits.problems is not None:
            return list(self.traits.problems(plain))
        known = self.names.difference(*(rule.names[1:] for rule in self._dates if not rule.absent(plain)))
        found = [*self.missing(plain), *self._extra(plain, known)]
        for name, value in plain.items():
            if name in known and (column := self._column(name)) is not None:
                found += column.problems(value)
        return found + [problem for rule in self._dates for problem in self._date_problems(rule, plain)]

    def missing(self, names: Iterable[str]) -> list[Problem]:
        """What is wrong with all records that have the columns `names`, whatever stands in them."""
        there = list(names)
        found = [self._missing(name, there) for name in self.required if name not in there]
        for rule in self._dates:
            absent = rule.absent(there)
            if absent and not any(name in there for name in rule.names):
                found.append(Problem.refusal(missing_date(rule.names[0], absent[0]), None))
        return found

    def _date_problems(self, rule: DateRule, record: dict[str, Any]) -> Iterator[Problem]:
        """A date of which parts have to be computed, since they are absent, and can't be."""
        absent, value = rule.absent(record), rule.value(record)
        date = as_date(value)
        if date is not None and date.utcoffset() and absent:
            message = f"the offset from UTC was ignored: {rule.names[0]!r} is taken as the time that is written."
            yield Problem("ignored", "offset_ignored", rule.names[0], message, "send the time without it.", value)
        if isinstance(value, str) and date is None and absent:
            yield Problem.refusal(invalid_date(rule.names[0], value), value)
        if value is None and any(name in record for name in rule.names):
            for part in absent:
                if _OF_NO_DATE not in part and (column := self.columns.get(part)) is not None:
                    yield from column.problems(None)

    def _missing(self, name: str, there: list[str]) -> Problem:
        near = [other for other in there if other.strip().lower() == name.strip().lower()]
        or_null = ", or null if it is not known" if self.columns[name].nullable else ""
        fix = f"rename {near[0]!r} to {name!r}." if near else f"send a value for {name!r}{or_null}."
        return Problem("refused", "missing_column", name, f"the record has no {name!r}.", fix)

    def _extra(self, record: dict[str, Any], known: set[str]) -> Iterator[Problem]:
        for name in (name for name in record if name not in known):
            near = difflib.get_close_matches(name, known - record.keys(), 1)
            fix = f"rename it to {near[0]!r}, or take it out." if near else "take it out."
            yield Problem("ignored", "extra_column", name, f"the model does not use {name!r}.", fix)

    def _no_record(self, given: Any) -> Problem:
        what = f"the text {short_repr(given)}" if isinstance(given, str) else "a picture"
        return Problem("refused", "not_an_object", None, f"{self.name} reads records, and this is {what}.", _AN_OBJECT)

    def _column(self, name: str) -> Column | None:
        """The column that has `name`; a date has more than one."""
        rule = next((rule for rule in self._dates if name in rule.names), None)
        return self.columns.get(rule.names[0] if rule else name)


def _date_rule(alternatives: list[dict[str, Any]]) -> DateRule:
    """The schema's alternatives: each name of the date alone, and last all of its parts."""
    *names, parts = (tuple(alternative.get("required", ())) for alternative in alternatives)
    return DateRule(tuple(name for each in names for name in each), parts)
