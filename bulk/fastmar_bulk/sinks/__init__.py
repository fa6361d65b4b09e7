"""Output files: each kind of file is a module with a class of `Sink`.

A sink writes the same bytes for the same sequence of rows, so that an interrupted run can be repeated from its answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from fastmar_bulk.sources import STDIN, compression_of, ending
from fastmar_bulk.tables import Values
from fastmar_client.errors import CsvUnwritable

_KINDS = {
    ".csv": "csv_file",
    ".tsv": "csv_file",
    ".parquet": "arrow_file",
    ".pq": "arrow_file",
    ".arrow": "arrow_file",
    ".feather": "arrow_file",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
}

Rows = Mapping[str, Values]
"""Columns of output rows, by name."""


@dataclass(frozen=True, slots=True)
class CsvFormat:
    """The format of an output in CSV: that of the table."""

    delimiter: str = ","
    line_end: str = "\n"
    bom: str = ""


class Sink(Protocol):
    """An open output file."""

    def write(self, rows: Rows) -> None:
        """Append rows; all calls have the same columns."""
        ...

    def close(self) -> None:
        """Complete the file."""
        ...


def open_sink(target: str, path: Path, csv: CsvFormat) -> Sink:
    """Open `path` for output in the format of the file name `target`; "-" is standard output in CSV.

    Raises:
        CsvUnwritable: the ending is unknown.
    """
    kind = "csv_file" if target == STDIN else _KINDS.get(ending(target))
    if kind is None:
        raise CsvUnwritable(
            f"{target} has an unknown ending.", fix=f"use one of {', '.join(_KINDS)}.", code="unknown_ending"
        )
    sink: Sink = import_module(f"{__name__}.{kind}").open_sink(target, path, csv)
    return sink


def open_output(target: str, path: Path) -> pa.NativeFile:
    """The file `path`, compressed by the ending of `target`."""
    if target == STDIN:
        return pa.PythonFile(open(1, "wb", closefd=False), "w")
    return pa.output_stream(str(path), compression=compression_of(target))
