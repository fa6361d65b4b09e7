"""Files of tables: each kind of file is a module with a class of `Source`."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from fastmar_bulk import stores
from fastmar_bulk.records import known_names
from fastmar_bulk.tables import Table
from fastmar_client.errors import CsvUnreadable
from fastmar_contract.errors import TableUnreadable
from fastmar_contract.files import is_empty_folder
from fastmar_contract.urls import is_url
from fastmar_runtime.modalities import modality
from fastmar_runtime.spec import Spec

STDIN = "-"
_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}
_KINDS = {
    ".csv": "csv_files",
    ".tsv": "csv_files",
    ".tab": "csv_files",
    ".txt": "csv_files",
    ".parquet": "arrow_files",
    ".pq": "arrow_files",
    ".arrow": "arrow_files",
    ".feather": "arrow_files",
    ".ipc": "arrow_files",
    ".jsonl": "json_lines",
    ".ndjson": "json_lines",
}
_FINGERPRINTED = 65_536  # bytes at both ends of a file


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive rows of a file.

    Attributes:
        load: a function that reads the rows; it is called in a worker.
        share: the share of the file that has been read after this chunk, from 0 to 1.
    """

    load: Callable[[], Table]
    share: float


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a file.

    Attributes:
        spec: the spec of the model.
        rows: the maximum number of rows of a chunk.
        encoding: the encoding of a CSV.
        column: the column with the pictures or texts; None for the default.
    """

    spec: Spec
    rows: int
    encoding: str
    column: str | None = None

    @property
    def known(self) -> list[str]:
        """Names of columns that the model reads."""
        return known_names(self.spec, self.column)


class Source(Protocol):
    """An open file of rows.

    Attributes:
        delimiter, line_end, bom: the delimiter, the line end and the byte order mark of an output in CSV.
    """

    delimiter: str
    line_end: str
    bom: str

    @property
    def names(self) -> Sequence[str]:
        """The names of its columns."""
        ...

    @property
    def bytes_columns(self) -> Collection[str]:
        """The names of the columns of bytes, such as pictures."""
        ...

    def chunks(self, wanted: Sequence[str]) -> Iterator[Chunk]:
        """The rows; only the `wanted` columns are required."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


def find_files(table: str, spec: Spec) -> list[str]:
    """The files that a path, a folder or a pattern such as ``data/*.parquet`` stands for, in the order of their names.

    For a picture model, a folder, a pattern or a file without the ending of a table stands for pictures, and is
    returned as it is.

    Raises:
        CsvUnreadable: there is none.
    """
    path = Path(table)
    if is_url(table):
        return _find_remote(table)
    if _has_pictures(table, spec):
        return [table]
    if table == STDIN or path.is_file() or (path.exists() and not path.is_dir()):
        return [table]
    if path.is_dir():
        found = sorted(str(each) for each in path.iterdir() if each.is_file() and ending(each.name) in _KINDS)
    else:
        found = sorted(glob.glob(table, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    if is_empty_folder(path):
        raise CsvUnreadable(f"{table} is an empty folder.", fix="pass a folder with tables.", code="empty_folder")
    if not found:
        raise CsvUnreadable(
            f"{table} has no tables." if path.is_dir() else f"there is no file {table}.",
            fix=f"pass files that end in {', '.join(_KINDS)}, a folder of them, or a pattern in quotes.",
        )
    return found


def _find_remote(url: str) -> list[str]:
    try:
        found = stores.find(url, lambda name: ending(name) in _KINDS)
    except OSError as error:
        raise unreadable(url, error) from error
    if not found:
        raise CsvUnreadable(f"there is no table {url}.", fix=f"pass files that end in {', '.join(_KINDS)}.")
    return found


def _has_pictures(table: str, spec: Spec) -> bool:
    return table != STDIN and not is_url(table) and ending(table) not in _KINDS and modality(spec.kind).reads_files


def ending(name: str) -> str:
    """The ending of a file's name without that of a compression, in lower case."""
    path = Path(name.lower())
    return Path(path.stem).suffix if path.suffix in _COMPRESSIONS else path.suffix


def compression_of(name: str) -> str | None:
    """Arrow's name of the compression that a file's name ends in; None for another ending."""
    return _COMPRESSIONS.get(Path(name.lower()).suffix)


def is_compressed(name: str) -> bool:
    """Whether a file's name ends in that of a compression."""
    return compression_of(name) is not None


def open_source(path: str, reading: Reading) -> Source:
    """Open a file by the ending of its name; other files, and standard input, are CSV.

    Raises:
        CsvUnreadable: it can't be read.
    """
    kind = "picture_files" if _has_pictures(path, reading.spec) else _KINDS.get(ending(path), "csv_files")
    try:
        source: Source = import_module(f"{__name__}.{kind}").open_source(path, reading)
    except OSError as error:
        raise unreadable(path, error) from error
    return source


@contextmanager
def table_errors() -> Iterator[None]:
    """Report errors of tables as those of files."""
    try:
        yield
    except TableUnreadable as error:
        code = None if error.code == TableUnreadable.code else error.code
        raise CsvUnreadable(error.message, fix=error.fix, code=code) from error


def unreadable(path: str, error: Exception) -> CsvUnreadable:
    """The error for a file that can't be read."""
    reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200]
    return CsvUnreadable(f"{path} can't be read ({reason}).", fix="check the path and the file.")


def fingerprint(path: str, spec: Spec) -> dict[str, Any]:
    """Identifies the content of a file by its size, the time of its last change, and a hash of both ends.

    Pictures are identified without reading them.

    Raises:
        CsvUnreadable: it can't be read.
    """
    try:
        if is_url(path):
            return stores.fingerprint(path, _FINGERPRINTED)
        if _has_pictures(path, spec):
            pictures: dict[str, Any] = import_module(f"{__name__}.picture_files").fingerprint(path)
            return pictures
        with Path(path).open("rb") as file:
            status = os.fstat(file.fileno())
            digest = hashlib.sha256(file.read(_FINGERPRINTED))
            file.seek(max(0, status.st_size - _FINGERPRINTED))
            digest.update(file.read(_FINGERPRINTED))
    except OSError as error:
        raise unreadable(path, error) from error
    return {"name": path, "bytes": status.st_size, "changed": status.st_mtime_ns, "ends": digest.hexdigest()[:16]}
