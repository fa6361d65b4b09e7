"""Files with a URL, in object stores and elsewhere, by fsspec, which is an optional dependency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Store:
    """A file system and a path in it.

    Attributes:
        system: the file system, as fsspec has it.
        path: the path of the file in the store.
        is_arrow: whether it is one of pyarrow: its files read lines slowly.
    """

    system: Any
    path: str
    is_arrow: bool


def open_store(data: str) -> Store:
    """The file system of a path or URL. pyarrow reads S3, Google Cloud and Azure without another package.

    Raises:
        ImportError, ValueError: no installed package opens such a URL.
    """
    import fsspec  # noqa: PLC0415 - an optional dependency

    try:
        system, path = fsspec.core.url_to_fs(data)
    except ImportError:  # the package of the store is missing
        from fsspec.implementations.arrow import ArrowFSWrapper  # noqa: PLC0415
        from pyarrow.fs import FileSystem  # noqa: PLC0415

        system, path = FileSystem.from_uri(data)
        return Store(ArrowFSWrapper(system), path, is_arrow=True)
    return Store(system, path, is_arrow=False)
