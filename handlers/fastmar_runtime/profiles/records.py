"""Reads the records of a data file or folder, for profiles."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from fastmar_contract.errors import FastmarError
from fastmar_contract.files import is_empty_folder, is_picture, read_input
from fastmar_contract.values import DATE
from fastmar_runtime import payload
from fastmar_runtime.csv_records import read_file
from fastmar_runtime.modalities import modality
from fastmar_runtime.pictures import Picture
from fastmar_runtime.spec import Spec

TABLES = (".csv", ".tsv", ".tab")
PARQUET = (".parquet", ".pq")
TEXT = ".txt"


class DataUnreadable(FastmarError):
    """A data file can't be read."""

    code = "data_unreadable"


def record_batches(path: Path, spec: Spec, size: int) -> Iterator[list[Any]]:
    """Records in batches of `size`, with a `RecordError` in place of a record that can't be read.

    Args:
        path: a file (CSV, JSON, JSON lines, Parquet), or a folder of pictures or texts, which are read when they are
            needed.
        spec: the spec of the model that will predict them.
        size: number of records of a batch.

    Raises:
        DataUnreadable, InputUnreadable: it can't be read.
        RequestError: it has no records of the model.
    """
    records = _records(path, spec)
    while batch := list(islice(records, size)):
        yield batch


def _records(path: Path, spec: Spec) -> Iterator[Any]:
    try:
        if path.is_dir():
            yield from _files(path)
        elif path.suffix.lower() in TABLES and modality(spec.kind).reads_csv:
            with path.open("rb") as file:
                yield from read_file(file, spec.fields)
        elif path.suffix.lower() in PARQUET:
            yield from _parquet(path, spec)
        else:
            yield from payload.read(*read_input(str(path)), spec).records
    except OSError as error:
        raise DataUnreadable(f"{path} can't be read ({error.strerror}).", fix="check the path.") from error


def _files(folder: Path) -> Iterator[Any]:
    """The pictures and texts of a folder and its subfolders, in the order of their paths."""
    if is_empty_folder(folder):
        raise DataUnreadable(
            f"{folder} is an empty folder.", fix="pass a folder or a file with data.", code="empty_folder"
        )
    found = False
    for path in sorted(folder.rglob("*")):
        if is_picture(path.name):
            yield Picture(path.read_bytes(), path.name)
        elif path.suffix.lower() == TEXT:
            yield path.read_text("utf-8", errors="replace")
        else:
            continue
        found = True
    if not found:
        raise DataUnreadable(
            f"{folder} has no pictures or texts.", fix=f"pass a folder of pictures, or of {TEXT} files for texts."
        )


def _parquet(path: Path, spec: Spec) -> Iterator[Any]:
    try:
        from pyarrow import parquet  # noqa: PLC0415 - an optional dependency
    except ImportError as error:
        raise DataUnreadable(
            f"{path} is a Parquet file, and pyarrow is not installed.", fix="pip install pyarrow, or pass a CSV."
        ) from error
    with parquet.ParquetFile(path) as file:
        wanted = {name for field in spec.fields for name in (field.name, *field.aliases)}
        names = [name for name in file.schema_arrow.names if name in wanted]
        dates = {name for field in spec.fields if field.kind == DATE for name in (field.name, *field.aliases)}
        for batch in file.iter_batches(columns=names):
            for record in batch.to_pylist():
                for name in dates & record.keys():
                    if isinstance(record[name], date):  # or its subclass datetime
                        record[name] = record[name].isoformat()
                yield record
