"""A model's schema, and the validation of records against it."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastmar_client.encoding import Part, as_read
from fastmar_client.errors import RecordRefused
from fastmar_client.json_schema import fits, types_of
from fastmar_client.kinds import kind_of
from fastmar_client.problems import Column, Problem
from fastmar_contract.date_parts import date_of
from fastmar_contract.display import short_repr
from fastmar_contract.errors import RecordError
from fastmar_contract.faults import MissingColumn, suggest_names
from fastmar_contract.similar import SimilarNames
from fastmar_contract.values import as_date, invalid_date, missing_date, not_an_object

_AN_OBJECT = "a record is an object with a value for each column."
_REMOVE = "remove it."
_MAX_SHOWN = 5  # names of columns in a sentence
_BOOLEAN_PART = "Is_"  # in the names of date parts that are False, not null, for a missing date


@dataclass(frozen=True, slots=True)
class DateRule:
    """A date that a record has under one of `names`, or as all of its `parts`."""

    names: tuple[str, ...]
    parts: tuple[str, ...]

    def value(self, record: Mapping[str, Any]) -> Any:
        """The date in a record."""
        return next((record[name] for name in self.names if name in record), None)

    def missing_parts(self, names: Container[str]) -> list[str]:
        """Date parts to compute from the date. If none is missing, the aliases are ordinary columns."""
        return [part for part in self.parts if part not in names]


class Schema:
    """The schema of a model's records and answers: wraps the dict of `Client.schema(name)`, and validates records.

    schema = Schema(client.schema("adult"))
    for problem in schema.problems({"age": "old"}):
        print(problem.field, problem.message, problem.fix)

    Attributes:
        described: the schema as the server returns it.
        name, version: the name and the version of the model.
        kind: "tabular", "vision", or another kind.
        traits: facts about the kind that the schema does not express; see `kinds`.
        columns: the columns of a record, by name.
        required: names of the required columns.
        targets: names of what the model predicts; a record may have them, and they are ignored.
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
        self.targets = tuple(described.get("targets") or ())
        properties = record.get("properties", {})
        properties = {**properties, **{name: {} for name in self.required if name not in properties}}
        self.columns = {name: Column.of(name, each) for name, each in properties.items()}
        self._types = types_of(record)
        self._dates = tuple(_date_rule(rule["anyOf"]) for rule in record.get("allOf", ()) if "anyOf" in rule)

    @property
    def dates(self) -> tuple[str, ...]:
        """The first names of the dates that a record requires if one of their parts is missing."""
        return tuple(rule.names[0] for rule in self._dates)

    @property
    def names(self) -> set[str]:
        """All names of columns, including the aliases of dates."""
        return {*self.columns, *(name for rule in self._dates for name in rule.names)}

    @property
    def reads_csv(self) -> bool:
        """Whether a row of a table can be a record: each required column holds text, a number or a bool.

        The rows for a model of an unlisted kind are sent as JSON.
        """
        if self.traits.reads_csv is not None:
            return self.traits.reads_csv
        needed = self.required or self.columns
        return bool(self.columns) and all(self.columns[name].fits_a_cell for name in needed)

    def omits(self, name: str, cell: str) -> bool:
        """Whether a cell is omitted from the record of its row: the cell is empty and the column is optional."""
        return not cell and self.traits.reads_csv is None and name not in self.required

    def problems(self, record: Any) -> list[Problem]:
        """All problems of a record; an empty list if it is valid."""
        if isinstance(record, str):
            return [] if self.traits.reads_files or "string" in self._types else [self._not_an_object(record)]
        if isinstance(record, bytes | bytearray | os.PathLike | Part):
            # For an unknown kind of model, `reads_files` is None: the server decides.
            return [self._not_an_object(record)] if self.traits.reads_files is False else []
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
        known = self.names.difference(*(rule.names[1:] for rule in self._dates if not rule.missing_parts(plain)))
        found = [*self.missing(plain), *self._extra(plain, known)]
        for name, value in plain.items():
            if name in known and (column := self._column(name)) is not None:
                found += column.problems(value)
        return found + [problem for rule in self._dates for problem in self._date_problems(rule, plain)]

    def missing(self, names: Iterable[str]) -> list[Problem]:
        """The missing columns of records that have the columns `names`."""
        return [Problem.refusal(fault, None) for fault in self.missing_faults(names)]

    def missing_faults(self, names: Iterable[str]) -> list[RecordError]:
        """The model's errors for the missing columns of records that have the columns `names`."""
        present = list(names)
        found: list[RecordError] = [
            MissingColumn(name, nullable=self.columns[name].nullable) for name in self.required if name not in present
        ]
        for rule in self._dates:
            absent = rule.missing_parts(present)
            if absent and not any(name in present for name in rule.names):
                found.append(missing_date(rule.names[0], absent[0]))
        known = self.names
        return suggest_names(found, [name for name in present if name not in known])

    def unused(self, names: Sequence[str]) -> str | None:
        """A sentence that names columns of a table that the model does not use, except targets; None without any."""
        problems = list(self._extra(dict.fromkeys(names), self.names))
        if not problems:
            return None
        shown = ", ".join(repr(problem.field) for problem in problems[:_MAX_SHOWN])
        more = f" and {len(problems) - _MAX_SHOWN:,} more" if len(problems) > _MAX_SHOWN else ""
        hints = "".join(f" {problem.field!r}: {problem.fix}" for problem in problems if problem.fix != _REMOVE)
        columns = "column" if len(problems) == 1 else "columns"
        return f"{self.name} does not use the {columns} {shown}{more}.{hints}"

    def _date_problems(self, rule: DateRule, record: dict[str, Any]) -> Iterator[Problem]:
        """Problems of a date from which missing parts must be computed."""
        absent, value = rule.missing_parts(record), rule.value(record)
        date = as_date(value)
        if date is not None and date.utcoffset() and absent:
            message = f"the UTC offset of {rule.names[0]!r} is ignored: the model uses the date as written."
            yield Problem("ignored", "offset_ignored", rule.names[0], message, "send it without an offset.", value)
        if isinstance(value, str) and date is None and absent:
            yield Problem.refusal(invalid_date(rule.names[0], value), value)
        if value is None and any(name in record for name in rule.names):
            for part in absent:
                if _BOOLEAN_PART not in part and (column := self.columns.get(part)) is not None:
                    yield from column.problems(None)

    def _extra(self, record: dict[str, Any], known: set[str]) -> Iterator[Problem]:
        names = sorted(known - record.keys())
        absent = SimilarNames(names)
        for name in (name for name in record if name not in known and name not in self.targets):
            near = None if any(date_of(each, [name]) for each in names) else absent.closest(name)
            fix = _REMOVE if near is None else f"rename it to {near!r}, or remove it."
            yield Problem("ignored", "extra_column", name, f"the model does not use {name!r}.", fix)

    def _not_an_object(self, value: Any) -> Problem:
        what = f"the text {short_repr(value)}" if isinstance(value, str) else "the bytes of a file"
        return Problem("refused", "not_an_object", None, f"{self.name} reads records, not {what}.", _AN_OBJECT)

    def _column(self, name: str) -> Column | None:
        """The column of a name; a date may have several names."""
        rule = next((rule for rule in self._dates if name in rule.names), None)
        return self.columns.get(rule.names[0] if rule else name)


def _date_rule(alternatives: list[dict[str, Any]]) -> DateRule:
    """The rule of the schema's alternatives: one for each name of the date, and the last one with all parts."""
    *names, parts = (tuple(alternative.get("required", ())) for alternative in alternatives)
    return DateRule(tuple(name for each in names for name in each), parts)
