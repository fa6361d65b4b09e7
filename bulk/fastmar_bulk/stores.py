"""Tables with a URL, such as s3://bucket/table.parquet."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from fastmar_client.errors import CsvUnreadable
from fastmar_client.stores import Store, open_store
from fastmar_contract.urls import is_url

_BUFFER = 1 << 20  # bytes that are read at a time


def local_path(path: str) -> str:
    """The path of a URL with the scheme ``file``; others as they are."""
    return url2pathname(urlsplit(path).path) if path.lower().startswith("file://") else path


def store_of(url: str) -> Store:
    """The store of a URL.

    Raises:
        CsvUnreadable: no installed package opens it.
    """
    try:
        return open_store(url)
    except (ImportError, ValueError, OSError) as error:
        raise CsvUnreadable(
            f"{url} can't be opened ({' '.join(str(error).split())[:200]}).",
            fix="install the package of this store, such as s3fs or gcsfs.",
            code="store_unknown",
        ) from error


class RemoteFile(io.BufferedReader):
    """A file of a store, open for reading.

    Attributes:
        size: the size in bytes.
    """

    def __init__(self, file: Any, size: int, *, is_arrow: bool) -> None:
        super().__init__(file.stream if is_arrow else file, _BUFFER)
        self._opened = file  # a file of pyarrow is closed with it
        self.size = size


def open_file(path: str) -> IO[bytes]:
    """A file with a path or a URL, open for reading.

    Raises:
        OSError: it can't be read.
        CsvUnreadable: no installed package opens the URL.
    """
    if not is_url(path):
        return Path(path).open("rb", buffering=_BUFFER)
    store = store_of(path)
    size = store.system.info(store.path)["size"]
    return RemoteFile(store.system.open(store.path, "rb"), size, is_arrow=store.is_arrow)


def find(url: str, is_table: Callable[[str], bool]) -> list[str]:
    """The files that the URL of a file, a folder or a pattern stands for, in the order of their names.

    Raises:
        OSError: the store can't be read.
        CsvUnreadable: no installed package opens the URL.
    """
    store = store_of(url)
    system, path = store.system, store.path
    if system.isfile(path):
        return [url]
    names = system.glob(path) if "*" in path else [name for name in system.find(path, maxdepth=1) if is_table(name)]
    return [system.unstrip_protocol(name) for name in sorted(names)]


def fingerprint(url: str, ends: int) -> dict[str, Any]:
    """Identifies the content of a file by its metadata in the store, and a hash of `ends` bytes at both ends.

    Raises:
        OSError: it can't be read.
    """
    store = store_of(url)
    info = store.system.info(store.path)
    size = info["size"]
    kind = {"seekable": True} if store.is_arrow else {}  # else it can't read a part
    digest = hashlib.sha256()
    for start, end in ((0, min(ends, size)), (max(0, size - ends), size)):
        digest.update(store.system.cat_file(store.path, start=start, end=end, **kind))
    said = {name: str(value) for name, value in info.items() if name in _SAID}
    return {"name": url, "bytes": size, "ends": digest.hexdigest()[:16], **said}


_SAID = ("created", "mtime", "LastModified", "last_modified", "updated", "ETag", "etag", "generation")
"""What stores say of the version of a file."""
