"""Reads files in folders and object stores."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any

import orjson

from fastmar_client.stores import open_store
from fastmar_monitor.errors import MonitorError, SourceUnknown

LINES, PARQUET = (".jsonl", ".ndjson"), (".parquet", ".pq")  # endings


def open_files(data: str, endings: Collection[str]) -> Iterator[tuple[str, Any]]:
    """The path and the open binary file of `data`, or of each file below it with one of the endings, by path.

    There are none if it does not exist, since object stores have no folders.

    Raises:
        SourceUnknown: no installed package opens such a URL.
        MonitorError: a file can't be opened.
    """
    try:
        store = open_store(data)
        system, path = store.system, store.path
        names = [path] if system.isfile(path) else sorted(n for n in system.find(path) if ending(n) in endings)
        for name in names:
            with system.open(name, "rb") as file:
                yield name, BytesIO(file.read()) if store.is_arrow else file
    except (ImportError, ValueError) as error:  # an unknown protocol, or one whose package is missing
        raise SourceUnknown(f"{data} can't be opened ({error}).", fix="install the package of this store.") from error
    except OSError as error:
        raise _unreadable(data, error) from error


def json_lines(file: Any) -> Iterator[Any]:
    """The value of each line that is not empty; None if it is no JSON."""
    for line in file:
        if line.strip():
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError:
                yield None


def parquet_rows(name: str, file: Any, columns: Collection[str]) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, with those of the columns that it has.

    Raises:
        MonitorError: it is damaged.
    """
    import pyarrow as pa  # noqa: PLC0415 - slow to import
    from pyarrow import parquet  # noqa: PLC0415

    try:
        with parquet.ParquetFile(file) as table:
            names = [each for each in columns if each in table.schema_arrow.names]
            for batch in table.iter_batches(columns=names):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: Exception) -> MonitorError:
    return MonitorError(f"{name} can't be read ({error}).", fix="check the path and the file.", code="data_unreadable")


def ending(name: str) -> str:
    """The ending of a file's name, in lower case."""
    return PurePosixPath(name.replace("\\", "/")).suffix.lower()
