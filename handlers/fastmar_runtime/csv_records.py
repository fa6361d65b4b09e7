"""CSV with a header to records: cells are parsed by the kind of their field, as pandas reads them in training."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import IO, Any

from fastmar_contract.csv_rows import NO_HEADER, CsvFile, CsvRows
from fastmar_contract.errors import TableUnreadable
from fastmar_contract.values import cell_reader
from fastmar_runtime.spec import Field


def read_csv(text: str, fields: Sequence[Field], max_records: int | None = None) -> list[Any]:
    """Records of a CSV, with a `RecordError` in place of a row that can't be read.

    Args:
        text: the CSV; its first line is the header.
        fields: the fields of the model.
        max_records: number of records to stop at; None reads all.

    Raises:
        TableUnreadable: see `CsvRows`.
    """
    return list(islice(_records(CsvRows(io.StringIO(text, newline=""), _by_name(fields)), fields), max_records))


def read_file(file: IO[bytes], fields: Sequence[Field]) -> Iterator[Any]:
    """Like `read_rows`, for a file of any size, which is read while the records are used."""
    with closing(CsvFile(file, _by_name(fields))) as rows:
        rows.check_not_empty()
        yield from _records(rows, fields)


def read_rows(text: str, fields: Sequence[Field], max_records: int | None = None) -> list[Any]:
    """Like `read_csv`, but refuses a CSV without rows.

    Raises:
        TableUnreadable: see `CsvRows`; or there are no rows.
    """
    try:
        records = read_csv(text, fields, max_records)
        if not records and max_records != 0:
            raise TableUnreadable(
                "the CSV has a header but no rows.",
                code="no_rows",
                fix="send the rows below the header, one per line.",
            )
    except TableUnreadable as error:
        if not re.search(r"[\r\n].", text.lstrip("\r\n")):  # a single line: curl's -d removes line ends
            error.fix = f"{error.fix.removesuffix('.')}; with curl, use --data-binary, because -d removes line ends."
        raise
    return records


def names_columns(text: str, fields: Sequence[Field]) -> bool:
    """Whether the first line of `text` is a header: it names two of the model's columns, or all if there are fewer."""
    known = _by_name(fields)
    try:
        header = CsvRows(io.StringIO(text, newline=""), known).header
    except TableUnreadable as error:
        return error.code != NO_HEADER  # with another error, the header names columns of the model
    return len(known.keys() & set(header)) >= min(2, len(fields))


def _records(rows: CsvRows, fields: Sequence[Field]) -> Iterator[Any]:
    known = _by_name(fields)
    of_columns = [known.get(name) for name in rows.header]
    readers = [cell_reader(field.kind, field.categories) if field else str for field in of_columns]
    columns = list(zip(rows.header, readers, strict=True))
    for row in rows:
        if row.error is not None:
            yield row.error
        else:
            yield {name: read(cell) for (name, read), cell in zip(columns, row.cells, strict=True)}


def _by_name(fields: Sequence[Field]) -> dict[str, Field]:
    """Fields by name and alias; if two fields share a name, the first one.

    Names come before aliases, in the order of the fields, because messages show the first ones.
    """
    known: dict[str, Field] = {}
    for field in fields:
        known.setdefault(field.name, field)
    for field in fields:
        for alias in field.aliases:
            known.setdefault(alias, field)
    return known
