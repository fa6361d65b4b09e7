"""Folders, patterns and files of pictures: rows with a path."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from fastmar_bulk.records import PATH
from fastmar_bulk.sources import Chunk, Reading, Source
from fastmar_bulk.tables import Table
from fastmar_client.errors import CsvUnreadable
from fastmar_contract.files import is_picture


class _Pictures:
    """See `Source`."""

    delimiter, line_end, bom = ",", "\n", ""
    names = (PATH,)
    bytes_columns = ()

    def __init__(self, path: str, rows: int) -> None:
        self._path = path
        self._rows = rows
        self._count = sum(1 for _ in _find(path))
        if not self._count:
            raise CsvUnreadable(
                f"{path} has no pictures." if Path(path).is_dir() else f"there is no picture {path}.",
                fix="pass a folder of pictures, a pattern in quotes such as 'photos/*.jpg', or a table of paths.",
                code="no_pictures",
            )

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:  # noqa: ARG002 - there is one column
        """See `Source`."""
        found = _find(self._path)
        done = 0
        while paths := list(islice(found, self._rows)):
            done += len(paths)
            yield Chunk(partial(_table, paths), min(done / self._count, 1.0))

    def close(self) -> None:
        """See `Source`."""


def _table(paths: list[str]) -> Table:
    return Table({PATH: pa.array(paths, pa.string())}, len(paths))


def _find(path: str) -> Iterator[str]:
    """The pictures of a folder and its subfolders, of a pattern, or a single one, always in the same order.

    As in fastai, folders whose names start with a dot are left out.
    """
    if not Path(path).is_dir():
        names = [path] if Path(path).is_file() else sorted(glob.iglob(path, recursive=True))  # noqa: PTH207 - absolute
        yield from (_text(name) for name in names if is_picture(name) and Path(name).is_file())
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (_text(os.path.join(folder, name)) for name in sorted(names) if is_picture(name))  # noqa: PTH118


def _text(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise CsvUnreadable(f"the name of the file {name!r} is not UTF-8.", fix="rename the file.") from error
    return name


def fingerprint(path: str) -> dict[str, Any]:
    """Identifies the pictures by their names, sizes and times of their last changes."""
    digest, count = hashlib.sha256(), 0
    for count, name in enumerate(_find(path), 1):  # noqa: B007 - the last number
        status = Path(name).stat()
        digest.update(f"{name}\n{status.st_size}\n{status.st_mtime_ns}\n".encode())
    return {"name": path, "pictures": count, "digest": digest.hexdigest()[:16]}


def open_source(path: str, reading: Reading) -> Source:
    """See `sources.open_source`."""
    return _Pictures(path, reading.rows)
