"""The output files of a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa

from fastmar_bulk.answers import ERROR_CODE, ERROR_FIELD
from fastmar_bulk.layout import SEPARATE, Options
from fastmar_bulk.parts import folder_of
from fastmar_bulk.sinks import CsvFormat, Rows, Sink, open_sink
from fastmar_bulk.sources import STDIN
from fastmar_client.csv_answers import ERROR
from fastmar_client.errors import CsvUnwritable


class Outputs:
    """The output file, and that of the refused rows. They are written beside their names, which they get at the end."""

    def __init__(self, target: str, csv: CsvFormat, options: Options) -> None:
        self._csv = csv
        self.target = target
        self._targets = [target, errors_file(target)] if options.errors == SEPARATE else [target]
        self._sinks: dict[str, Sink] = {}

    def write(self, rows: Rows) -> None:
        """Append rows."""
        self._sink(self._targets[0]).write(rows)

    def write_errors(self, rows: Rows) -> None:
        """Append rows that could not be scored."""
        self._sink(self._targets[1]).write(rows)

    def close(self) -> None:
        """Close the files of a run that failed."""
        for sink in self._sinks.values():
            with suppress(OSError, pa.ArrowException):
                sink.close()

    def finish(self) -> None:
        """Complete the files."""
        for target in reversed(self._targets):
            if target not in self._sinks:
                with suppress(FileNotFoundError):
                    Path(target).unlink()  # of an earlier run
                continue
            self._sinks.pop(target).close()
            if target != STDIN:
                with _part(target).open("rb") as file:
                    os.fsync(file.fileno())
                _part(target).replace(target)

    def _sink(self, target: str) -> Sink:
        if target not in self._sinks:
            self._sinks[target] = open_sink(target, _part(target), self._csv)
        return self._sinks[target]


def errors_file(target: str) -> str:
    """The file of the rows that can't be scored: ``out.errors.csv`` for ``out.csv``."""
    path = Path(target)
    first, *suffixes = path.name.split(".")
    return str(path.with_name(".".join([first, "errors", *suffixes])))


def _part(target: str) -> Path:
    return Path(target + ".part")


def check_target(target: str, files: Sequence[str], options: Options) -> None:
    """Refuse a target that is a folder, a table of the run, or an existing file.

    Raises:
        CsvUnwritable: it is.
    """
    if target == STDIN:
        return
    path = Path(target)
    if path.is_dir():
        raise CsvUnwritable(f"{target} is a folder.", fix="choose a file.", code="not_a_file")
    for written in (path, _part(target)):
        if written.exists() and any(file != STDIN and written.samefile(file) for file in files):
            raise CsvUnwritable(f"{written} is the input table.", fix="choose another output file.", code="same_file")
    # With answers beside it, the file is of a run that was interrupted after it had written all rows.
    if not options.overwrite and path.is_file() and not folder_of(path).exists():
        raise CsvUnwritable(
            f"{target} already exists.",
            fix="choose another output file, or replace it with --force.",
            code="file_exists",
        )


def refused_rows(rows: Rows, answers: pa.Table) -> Rows:
    """The output rows that could not be scored, with their errors."""
    refused = answers[ERROR].is_valid()
    errors = {name: answers[name].combine_chunks() for name in (ERROR_CODE, ERROR_FIELD, ERROR)}
    return {name: taken(values, refused) for name, values in {**rows, **errors}.items()}


def taken(values: Any, chosen: Any) -> Any:
    """The `chosen` values of a column; `chosen` is a column of bools."""
    if isinstance(values, list):
        return [value for value, is_chosen in zip(values, chosen.to_pylist(), strict=True) if is_chosen]
    return values.filter(chosen.combine_chunks())
