"""The answers of an interrupted run, in a folder beside its output file:

    out.parquet.parts/run.json              the description of the run; locked while it is running
    out.parquet.parts/000007-65536.arrow    the answers to the eighth chunk, of 65536 rows

A chunk is complete when its file exists. When a run is resumed, rows of complete chunks are not scored again, but all
rows are read and written again: the same rows and answers give the same bytes in any format.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Semaphore
from typing import Any

import pyarrow as pa

from fastmar_bulk.part_folders import ENDING, PartFolder, part_folder
from fastmar_client.errors import CsvUnwritable, ResumeRefused

_RESTART = "score all rows again with --no-resume, or undo the change."
_THREADS = 4


class Parts:
    """The answers of a run to its chunks of rows.

    Attributes:
        resumed: rows of the chunks that earlier runs answered, by number of the chunk.
    """

    def __init__(self, target: str, description: Mapping[str, Any], *, resume: bool) -> None:
        """Open the folder beside `target`, and keep its answers if they are of a run with the same `description`.

        Raises:
            ResumeRefused: they are of another run, or the run is still running.
            CsvUnwritable: the folder can't be written.
        """
        self._folder = part_folder(target)
        self._target = target
        try:
            with write_errors(target):
                self._start(description, resume=resume)
                self.resumed = _chunks(self._folder)
        except BaseException:
            self._folder.close()
            raise
        self._threads = ThreadPoolExecutor(_THREADS, "fastmar-save")
        self._saving: deque[Future[None]] = deque()
        self._free = Semaphore(2 * _THREADS)  # answers that wait for the disk are in memory

    def _start(self, description: Mapping[str, Any], *, resume: bool) -> None:
        if not self._folder.start():
            raise ResumeRefused(
                f"another run is writing {self._target}.",
                fix="wait until it ends, or choose another output file.",
                code="run_in_progress",
            )
        known = self._folder.read_description()
        text = json.dumps(description, sort_keys=True)
        if resume and known.strip():
            self._check(known, json.loads(text))
        else:
            self._folder.clear()
            self._folder.write_description(text)

    def load(self, chunk: int) -> pa.Table:
        """The answers to a chunk of `resumed`."""
        return self._folder.read(_name(chunk, self.resumed[chunk]))

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
            with write_errors(self._target):
                self._folder.write(_name(chunk, answers.num_rows), answers)
        finally:
            self._free.release()

    def remove(self) -> None:
        """Remove the folder."""
        self.close()
        self._folder.remove()

    def close(self) -> None:
        """Release the folder, and keep it for another run to resume."""
        self._threads.shutdown()
        self._folder.close()

    def _check(self, known: str, description: Mapping[str, Any]) -> None:
        try:
            earlier = json.loads(known)
        except ValueError:  # the run was interrupted while it wrote the description, before its first chunk
            earlier = {}
        if changed := [name for name in description if earlier.get(name) != description[name]]:
            raise ResumeRefused(
                f"{self._folder} has answers of an interrupted run; changed since: {', '.join(changed)}.",
                fix=_RESTART,
                code="run_changed",
            )


@contextmanager
def write_errors(target: str) -> Iterator[None]:
    """Report errors of the disk as those of the output file."""
    try:
        yield
    except OSError as error:
        raise CsvUnwritable(
            f"{target} can't be written ({error.strerror or error}).",
            fix="check permissions and free space, then run it again to resume.",
        ) from error


def rows_kept(target: str) -> int:
    """The number of rows that an interrupted run answered."""
    return sum(_chunks(part_folder(target)).values())


def _name(chunk: int, rows: int) -> str:
    return f"{chunk:06}-{rows}{ENDING}"


def _chunks(folder: PartFolder) -> dict[int, int]:
    """The numbers of rows of complete chunks, by number of the chunk."""
    names = (name.removesuffix(ENDING).split("-") for name in folder.names())
    return {int(chunk): int(rows) for chunk, rows in names}
