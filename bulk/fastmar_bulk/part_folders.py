"""Where the answers of a run are kept until its output is complete: a folder, or a prefix of an object store.

A file has its name only when it is complete.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import IO, Protocol

import pyarrow as pa

from fastmar_bulk.stores import store_of
from fastmar_contract.locks import acquire
from fastmar_contract.urls import is_url

DESCRIPTION = "run.json"
ENDING = ".arrow"


class PartFolder(Protocol):
    """A folder of parts."""

    def start(self) -> bool:
        """Make the folder, and lock it where this is possible; False if another run has locked it."""
        ...

    def read_description(self) -> str:
        """The description of the run; empty if there is none."""
        ...

    def write_description(self, text: str) -> None:
        """Write the description of the run."""
        ...

    def names(self) -> list[str]:
        """The names of the complete parts."""
        ...

    def read(self, name: str) -> pa.Table:
        """A part."""
        ...

    def write(self, name: str, answers: pa.Table) -> None:
        """Write a part."""
        ...

    def clear(self) -> None:
        """Remove all parts."""
        ...

    def remove(self) -> None:
        """Remove the folder."""
        ...

    def close(self) -> None:
        """Release the folder."""
        ...


def part_folder(target: str) -> PartFolder:
    """The folder beside the output file `target`, which is a path or a URL."""
    return _RemoteFolder(target + ".parts") if is_url(target) else LocalFolder(Path(target + ".parts"))


class LocalFolder:
    """See `PartFolder`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str]  # once it is started

    def __str__(self) -> str:
        return str(self.path)

    def start(self) -> bool:
        """See `PartFolder`. The description stays open: it has the lock."""
        self.path.mkdir(parents=True, exist_ok=True)
        self._file = (self.path / DESCRIPTION).open("a+", encoding="utf-8")
        return acquire(self._file)

    def read_description(self) -> str:
        """See `PartFolder`."""
        return (self.path / DESCRIPTION).read_text("utf-8")

    def write_description(self, text: str) -> None:
        """See `PartFolder`."""
        self._file.truncate(0)
        self._file.write(text)
        self._file.flush()
        os.fsync(self._file.fileno())

    def names(self) -> list[str]:
        """See `PartFolder`."""
        return [path.name for path in self.path.glob("*-*" + ENDING)]

    def read(self, name: str) -> pa.Table:
        """See `PartFolder`."""
        with pa.OSFile(str(self.path / name)) as file:
            return pa.ipc.open_file(file).read_all()

    def write(self, name: str, answers: pa.Table) -> None:
        """See `PartFolder`."""
        path = self.path / name
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb", buffering=0) as file, pa.ipc.new_file(file, answers.schema) as writer:
            writer.write_table(answers)
            writer.close()
            os.fsync(file.fileno())
        unfinished.replace(path)

    def clear(self) -> None:
        """See `PartFolder`."""
        for path in self.path.glob("[0-9]*.*"):
            path.unlink()

    def remove(self) -> None:
        """See `PartFolder`."""
        shutil.rmtree(self.path, ignore_errors=True)

    def close(self) -> None:
        """See `PartFolder`."""
        with suppress(AttributeError):  # it was not started
            self._file.close()


class _RemoteFolder:
    """See `PartFolder`. Stores write whole objects, and have no locks."""

    def __init__(self, url: str) -> None:
        store = store_of(url)
        self._url = url
        self._system = store.system
        self._path = store.path

    def __str__(self) -> str:
        return self._url

    def start(self) -> bool:
        self._system.makedirs(self._path, exist_ok=True)
        self._system.invalidate_cache()
        return True

    def read_description(self) -> str:
        with suppress(FileNotFoundError):
            return bytes(self._system.cat_file(self._of(DESCRIPTION))).decode()
        return ""

    def write_description(self, text: str) -> None:
        self._system.pipe_file(self._of(DESCRIPTION), text.encode())

    def names(self) -> list[str]:
        return [name for name in self._all() if name.endswith(ENDING)]

    def read(self, name: str) -> pa.Table:
        return pa.ipc.open_file(pa.py_buffer(self._system.cat_file(self._of(name)))).read_all()

    def write(self, name: str, answers: pa.Table) -> None:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, answers.schema) as writer:
            writer.write_table(answers)
        self._system.pipe_file(self._of(name), sink.getvalue().to_pybytes())

    def clear(self) -> None:
        for name in self.names():
            self._system.rm_file(self._of(name))

    def remove(self) -> None:
        with suppress(OSError):
            self._system.rm(self._path, recursive=True)

    def close(self) -> None:
        pass

    def _of(self, name: str) -> str:
        return f"{self._path}/{name}"

    def _all(self) -> list[str]:
        try:
            return [path.rpartition("/")[2] for path in self._system.find(self._path)]
        except FileNotFoundError:
            return []


def exists(target: str) -> bool:
    """Whether there are parts of an interrupted run."""
    folder = part_folder(target)
    return folder.path.exists() if isinstance(folder, LocalFolder) else bool(folder.read_description())
