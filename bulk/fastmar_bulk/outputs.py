"""The output files of a run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fastmar_bulk.answers import ERROR_CODE, ERROR_FIELD
from fastmar_bulk.layout import SEPARATE, Options
from fastmar_bulk.part_folders import exists
from fastmar_bulk.parts import write_errors
from fastmar_bulk.sinks import CsvFormat, Rows, Sink, open_sink
from fastmar_bulk.sources import STDIN
from fastmar_bulk.stores import store_of
from fastmar_client.csv_answers import ERROR
from fastmar_client.errors import CsvUnwritable, RecordRefused
from fastmar_contract.urls import is_url


class Outputs:
    """The output file, and that of the refused rows. They are complete when they get their names.

    Until then, they are beside their names, or in a temporary folder if their names are URLs.
    """

    def __init__(self, target: str, csv: CsvFormat, options: Options) -> None:
        self._temporary = Path(mkdtemp(prefix="fastmar-")) if is_url(target) else None
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
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def finish(self) -> None:
        """Complete the files."""
        for target in reversed(self._targets):
            if target not in self._sinks:
                with suppress(FileNotFoundError):
                    _remove(target)  # of an earlier run
                continue
            self._sinks.pop(target).close()
            if target != STDIN:
                self._publish(target)

    def _publish(self, target: str) -> None:
        if is_url(target):
            store = store_of(target)
            store.system.put_file(str(self._part(target)), store.path)
            return
        with self._part(target).open("rb") as file:
            os.fsync(file.fileno())
        self._part(target).replace(target)

    def _part(self, target: str) -> Path:
        return _part(target) if self._temporary is None else self._temporary / PurePosixPath(target).name

    def _sink(self, target: str) -> Sink:
        if target not in self._sinks:
            self._sinks[target] = open_sink(target, self._part(target), self._csv)
        return self._sinks[target]


def _remove(target: str) -> None:
    if not is_url(target):
        Path(target).unlink()
        return
    store = store_of(target)
    if store.system.exists(store.path):
        store.system.rm_file(store.path)


def errors_file(target: str) -> str:
    """The file of the rows that can't be scored: ``out.errors.csv`` for ``out.csv``."""
    folder, slash, name = target.rpartition("/")
    first, *suffixes = name.split(".")
    return folder + slash + ".".join([first, "errors", *suffixes])


def _part(target: str) -> Path:
    return Path(target + ".part")


def check_target(target: str, files: Sequence[str], options: Options) -> None:
    """Refuse a target that is a folder, a table of the run, or an existing file.

    Raises:
        CsvUnwritable: it is one of these.
    """
    if target == STDIN:
        return
    if is_url(target):
        _check_remote(target, files, options)
        return
    path = Path(target)
    if path.is_dir():
        raise CsvUnwritable(f"{target} is a folder.", fix="choose a file.", code="not_a_file")
    for written in (path, _part(target)):
        if written.exists() and any(file != STDIN and written.samefile(file) for file in files):
            raise CsvUnwritable(f"{written} is the input table.", fix="choose another output file.", code="same_file")
    # With answers beside it, the file is of a run that was interrupted after it had written all rows.
    if not options.overwrite and path.is_file() and not exists(target):
        raise _exists(target)


def _check_remote(target: str, files: Sequence[str], options: Options) -> None:
    if target in files:
        raise CsvUnwritable(f"{target} is the input table.", fix="choose another output file.", code="same_file")
    store = store_of(target)
    with write_errors(target):
        if not options.overwrite and store.system.isfile(store.path) and not exists(target):
            raise _exists(target)


def _exists(target: str) -> CsvUnwritable:
    return CsvUnwritable(
        f"{target} already exists.",
        fix="choose another output file, or replace it with --force.",
        code="file_exists",
    )


def refused_rows(rows: Rows, answers: pa.Table) -> Rows:
    """The output rows that could not be scored, with their errors."""
    refused = answers[ERROR].is_valid()
    errors = {name: answers[name].combine_chunks() for name in (ERROR_CODE, ERROR_FIELD, ERROR)}
    return {name: taken(values, refused) for name, values in {**rows, **errors}.items()}


def first_refused(answers: pa.Table, name: Callable[[int], str]) -> RecordRefused:
    """The error of the first row that could not be scored.

    Args:
        answers: the answers with their errors.
        name: the name of a row in messages, by its position.
    """
    row = pc.index(answers[ERROR].is_valid(), True).as_py()
    message, _, fix = answers[ERROR][row].as_py().partition(" Fix: ")
    return RecordRefused(
        f"{name(row)}: {message}",
        fix=fix,
        code=answers[ERROR_CODE][row].as_py(),
        field=answers[ERROR_FIELD][row].as_py(),
    )


def taken(values: Any, chosen: Any) -> Any:
    """The `chosen` values of a column; `chosen` is a column of bools."""
    if isinstance(values, list):
        return [value for value, is_chosen in zip(values, chosen.to_pylist(), strict=True) if is_chosen]
    return values.filter(chosen.combine_chunks())
