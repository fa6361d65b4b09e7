"""CSV with a header to records: each cell becomes what its field expects, as pandas would have read it in training."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from fastmar_contract.csv_rows import NO_HEADER, CsvRows
from fastmar_contract.errors import TableUnreadable
from fastmar_contract.values import cell_reader
from fastmar_runtime.spec import Field


def read_csv(text: str, fields: Sequence[Field], max_records: int | None = None) -> list[Any]:
    """Records of `text`, whose first line names the columns; a `RecordError` for a row that can't be read.

    No more than `max_records` records are read; None reads all.

    Raises:
        TableUnreadable: as `CsvRows` has it.
    """
    return list(islice(_records(text, fields), max_records))


def read_rows(text: str, fields: Sequence[Field], max_records: int | None = None) -> list[Any]:
    """The same, of a table that must have a row.

    Raises:
        TableUnreadable: as `CsvRows` has it; or there is no row behind the header.
    """
    try:
        records = read_csv(text, fields, max_records)
        if not records and max_records != 0:
            raise TableUnreadable(
                "there is no row behind the header of the CSV.",
                code="no_rows",
                fix="send the rows too, each on a line of its own.",
            )
    except TableUnreadable as error:
        if not re.search(r"[\r\n].", text.lstrip("\r\n")):  # one line, which curl's -d makes of any table
            error.fix = f"{error.fix.removesuffix('.')}; with curl, use --data-binary, since -d strips line ends."
        raise
    return records


def names_columns(text: str, fields: Sequence[Field]) -> bool:
    """Whether the first line of `text` is a header of the model's columns, at least two where the model has as many."""
    known = _by_name(fields)
    try:
        header = CsvRows(io.StringIO(text, newline=""), known).header
    except TableUnreadable as error:
        return error.code != NO_HEADER  # else it is a table, whose reader will say what is wrong
    return len(known.keys() & set(header)) >= min(2, len(fields))


def _records(text: str, fields: Sequence[Field]) -> Iterator[Any]:
    known = _by_name(fields)
    rows = CsvRows(io.StringIO(text, newline=""), known)
    of_columns = [known.get(name) for name in rows.header]
    readers = [cell_reader(field.kind, field.categories) if field else str for field in of_columns]
    columns = list(zip(rows.header, readers, strict=True))
    for row in rows:
        if row.error is not None:
            yield row.error
        else:
            yield {name: read(cell) for (name, read), cell in zip(columns, row.cells, strict=True)}


def _by_name(fields: Sequence[Field]) -> dict[str, Field]:
    """Fields by all names that a header may have for them; of two fields with one name the first.

    The fields' own names come first, in their order: a message shows the first ones.
    """
    known: dict[str, Field] = {}
    for field in fields:
        known.setdefault(field.name, field)
    for field in fields:
        for alias in field.aliases:
            known.setdefault(alias, field)
    return known
