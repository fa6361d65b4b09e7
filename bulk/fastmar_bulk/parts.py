"""The answers of an interrupted run, in a folder beside its output file:

    out.parquet.parts/run.json              the description of the run; locked while it is running
    out.parquet.parts/000007-65536.arrow    the answers to the eighth chunk, of 65536 rows

A chunk is complete when its file exists, because a file gets its name when it is on the disk. When a run is resumed,
rows of complete chunks are not scored again, but all rows are read and written again: the same rows and answers give
the same bytes in any format.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Semaphore
from typing import Any

import pyarrow as pa

from fastmar_client.errors import CsvUnwritable, ResumeRefused
from fastmar_contract.locks import acquire

_RESTART = "score all rows again with --no-resume, or undo the change."
_DESCRIPTION = "run.json"
_THREADS = 4


class Parts:
    """The answers of a run to its chunks of rows.

    Attributes:
        resumed: rows of the chunks that earlier runs answered, by number of the chunk.
    """

    def __init__(self, target: Path, description: Mapping[str, Any], *, resume: bool) -> None:
        """Open the folder beside `target`, and keep its answers if they are of a run with the same `description`.

        Raises:
            ResumeRefused: they are of another run, or the run is still running.
            CsvUnwritable: the folder can't be written.
        """
        self.folder = folder_of(target)
        self._target = target
        with write_errors(self._target):
            self.folder.mkdir(parents=True, exist_ok=True)
            with ExitStack() as stack:
                self._file = stack.enter_context((self.folder / _DESCRIPTION).open("a+", encoding="utf-8"))
                self._start(description, resume=resume)
                stack.pop_all()  # without errors, the file stays open until `close`
        self.resumed = _chunks(self.folder)
        self._threads = ThreadPoolExecutor(_THREADS, "fastmar-save")
        self._saving: deque[Future[None]] = deque()
        self._free = Semaphore(2 * _THREADS)  # answers that wait for the disk are in memory

    def _start(self, description: Mapping[str, Any], *, resume: bool) -> None:
        if not acquire(self._file):
            raise ResumeRefused(
                f"another run is writing {self._target}.",
                fix="wait until it ends, or choose another output file.",
                code="run_in_progress",
            )
        self._file.seek(0)
        known = self._file.read()
        text = json.dumps(description, sort_keys=True)
        if resume and known.strip():
            self._check(known, json.loads(text))
        else:
            self._clear()
            self._file.truncate(0)
            self._file.write(text)
            self._file.flush()
            os.fsync(self._file.fileno())

    def load(self, chunk: int) -> pa.Table:
        """The answers to a chunk of `resumed`."""
        with pa.OSFile(str(self._path(chunk, self.resumed[chunk]))) as file:
            return pa.ipc.open_file(file).read_all()

    def save(self, chunk: int, answers: pa.Table) -> None:
        """Save the answers to a chunk in another thread, because the caller would wait for the disk."""
        self._free.acquire()
        self._saving.append(self._threads.submit(self._save, chunk, answers))

    def check(self) -> None:
        """Raise `CsvUnwritable` if answers could not be written."""
        while self._saving and self._saving[0].done():
            self._saving.popleft().result()

    def flush(self) -> None:
        """Wait until all answers are on the disk.

        Raises:
            CsvUnwritable: some can't be written.
        """
        while self._saving:
            self._saving.popleft().result()

    def _save(self, chunk: int, answers: pa.Table) -> None:
        try:
            self._write(chunk, answers)
        finally:
            self._free.release()

    def _write(self, chunk: int, answers: pa.Table) -> None:
        path = self._path(chunk, answers.num_rows)
        unfinished = path.with_suffix(".part")
        with write_errors(self._target):
            with unfinished.open("wb", buffering=0) as file, pa.ipc.new_file(file, answers.schema) as writer:
                writer.write_table(answers)
                writer.close()
                os.fsync(file.fileno())
            unfinished.replace(path)

    def remove(self) -> None:
        """Remove the folder."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Release the folder, and keep it for another run to resume."""
        self._threads.shutdown()
        self._file.close()

    def _path(self, chunk: int, rows: int) -> Path:
        return self.folder / f"{chunk:06}-{rows}.arrow"

    def _clear(self) -> None:
        for path in self.folder.glob("[0-9]*.*"):
            path.unlink()

    def _check(self, known: str, description: Mapping[str, Any]) -> None:
        try:
            earlier = json.loads(known)
        except ValueError:  # the run was interrupted while it wrote the description, before its first chunk
            earlier = {}
        if changed := [name for name in description if earlier.get(name) != description[name]]:
            raise ResumeRefused(
                f"{self.folder} has answers of an interrupted run; changed since: {', '.join(changed)}.",
                fix=_RESTART,
                code="run_changed",
            )


@contextmanager
def write_errors(target: Path | str) -> Iterator[None]:
    """Report errors of the disk as those of the output file."""
    try:
        yield
    except OSError as error:
        raise CsvUnwritable(
            f"{target} can't be written ({error.strerror or error}).",
            fix="check permissions and free space, then run it again to resume.",
        ) from error


def folder_of(target: Path) -> Path:
    """The folder of the answers of an interrupted run."""
    return target.with_name(target.name + ".parts")


def rows_kept(target: Path) -> int:
    """The number of rows that an interrupted run answered."""
    return sum(_chunks(folder_of(target)).values())


def _chunks(folder: Path) -> dict[int, int]:
    """The numbers of rows of complete chunks, by number of the chunk."""
    names = (path.stem.split("-") for path in folder.glob("*-*.arrow"))
    return {int(chunk): int(rows) for chunk, rows in names}
