"""Scores tables whose rows are pictures or texts: a column has the pictures' paths or bytes, or the texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_bulk.answers import Answers
from fastmar_bulk.stores import open_file
from fastmar_bulk.tables import Table
from fastmar_client.errors import CsvUnreadable
from fastmar_contract.errors import RecordError, TableUnreadable
from fastmar_contract.files import InputUnreadable, read_picture
from fastmar_contract.urls import is_url
from fastmar_runtime.modalities import modality
from fastmar_runtime.pictures import Picture
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Field, Spec

PATH = "path"  # the column of the paths of pictures in a folder
_BYTES = "bytes"  # of a picture, in tables of Hugging Face

Output = npt.NDArray[np.float32]


class RecordScorer:
    """See `Scorer`. The records of a chunk go through the runtime as a list, so that the answers are the same."""

    def __init__(self, predictor: Predictor, columns: Mapping[str, Field]) -> None:
        """Read the fields of a record from `columns`, see `choose_columns`."""
        self._predictor = predictor
        self._fields = dict(columns)
        self._names = {field.name: name for name, field in columns.items()}
        self.wanted = list(columns)
        self._records: Callable[[Table], list[Any]] = (
            self._pictures if modality(predictor.spec.kind).reads_files else self._rows
        )

    def check(self, names: Sequence[str], table: str) -> None:
        """See `Scorer`."""
        for name in self.wanted:
            if name not in names:
                raise TableUnreadable(
                    f"{table} has no column {name!r}.", fix="use tables that all have it.", code="missing_column"
                )

    def __call__(self, table: Table) -> Answers:
        """See `Scorer`."""
        answers = Answers(np.zeros((table.size, *self._shape()), np.float32), {}, {}, {})
        start = 0
        for part in table.slices(self._predictor.preprocess.chunk):
            self._score(part, start, answers)
            start += part.size
        return answers

    def _score(self, table: Table, start: int, answers: Answers) -> None:
        groups, report = self._predictor.preprocess.groups(self._records(table))
        for rows, output, geometries in self._predictor.outputs(groups, report):
            places = [start + row for row in rows]
            answers.output[places] = output
            answers.geometries.update(zip(places, geometries, strict=False))  # texts have none
        answers.errors.update({start + row: error for row, error in report.errors.items()})
        for row, warnings in enumerate(report.warnings):
            if warnings and row not in report.errors:
                answers.warnings[start + row] = warnings

    def _shape(self) -> list[int]:
        """The shape of the network's output for a record."""
        return [size for size in self._predictor.spec.outputs[0].shape[1:] if isinstance(size, int)]

    def _rows(self, table: Table) -> list[Any]:
        columns = {field: table.columns[name] for field, name in self._names.items() if name in table.columns}
        fields = {field.name: field for field in self._fields.values()}
        records = replace(table, columns=columns).records(range(table.size), fields)
        for row, error in table.faults.items():
            records[row] = error
        return records

    def _pictures(self, table: Table) -> list[Any]:
        [name] = self.wanted
        values = table.columns.get(name, [None] * table.size)
        found = values if isinstance(values, list) else values.to_pylist()
        return [table.faults.get(row) or _picture(value) for row, value in enumerate(found)]


def _picture(value: Any) -> Any:
    """The record of a path or of bytes."""
    if isinstance(value, Mapping) and isinstance(value.get(_BYTES), bytes):
        return Picture(value[_BYTES])
    if not isinstance(value, str):
        return value
    if not value:  # an empty cell
        return None
    try:
        return Picture(_read(value), value)
    except (InputUnreadable, CsvUnreadable) as error:
        return RecordError("file_unreadable", error.message, fix=error.fix)


def _read(path: str) -> bytes:
    if not is_url(path):
        return read_picture(Path(path))
    try:
        with open_file(path) as file:
            return file.read()
    except OSError as error:
        raise InputUnreadable(f"{path} can't be read ({error}).", fix="check the URL.") from error


def known_names(spec: Spec, column: str | None) -> list[str]:
    """Names of columns that a model reads, one of which the header of a CSV must have."""
    if column is not None:
        return [column]
    names = [name for field in spec.fields for name in (field.name, *field.aliases)]
    return [*names, PATH] if modality(spec.kind).reads_files else names


def header_fix(spec: Spec) -> str | None:
    """What to do if the header of a CSV has none of the known names; None for the default."""
    return f"start the CSV with a header, and name its column with {_option(spec)}." if len(spec.fields) == 1 else None


def choose_columns(spec: Spec, column: str | None, names: Sequence[str], table: str) -> dict[str, Field]:
    """The columns of a table that make a record, with the field of each.

    Args:
        spec: the spec of a picture or text model.
        column: chosen by the caller for the only field; None for the column of the field's name, ``path`` for pictures,
            or the table's only column.
        names: the names of the table's columns.
        table: its name, for messages.

    Raises:
        TableUnreadable: the table does not have the columns, or they are not certain.
    """
    traits = modality(spec.kind)
    if len(spec.fields) != 1:
        return _named(spec, column, names, table)
    [field] = spec.fields
    candidates = [name for name in known_names(spec, column) if name in names]
    if not candidates and column is None and len(names) == 1:
        candidates = list(names)
    if not candidates:
        raise TableUnreadable(
            f"{table} has no column {column!r}."
            if column is not None
            else f"{table} has several columns, and it is not certain which one has the {traits.records}.",
            fix=f"name it with {_option(spec)} (in Python: column=); the table has {', '.join(names)}.",
            code="missing_column" if column is not None else "unknown_column",
        )
    return {candidates[0]: field}


def _option(spec: Spec) -> str:
    return "--image" if modality(spec.kind).reads_files else "--text"


def _named(spec: Spec, column: str | None, names: Sequence[str], table: str) -> dict[str, Field]:
    """The columns of a model with several fields, which have the fields' names."""
    if column is not None:
        raise TableUnreadable(
            f"{spec.name} reads the columns {', '.join(field.name for field in spec.fields)}, not a single one.",
            fix="rename the columns of the table.",
            code="unknown_column",
        )
    for field in spec.fields:
        if field.name not in names:
            raise TableUnreadable(f"{table} has no column {field.name!r}.", fix="add it.", code="missing_column")
    return {field.name: field for field in spec.fields}
