"""The output file of a long run, written so that an interrupted run can be resumed.

During a run there are two files beside `out.csv`:

    out.csv.part       the lines so far
    out.csv.journal    JSON lines: first the description of the run, then the progress after each chunk

A chunk is complete when its line in the journal is on the disk, after the chunk itself. When a run is resumed, lines of
the part file after the last complete chunk are cut off. At the end, the part file replaces `out.csv` in one step.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from fastmar_client.errors import CsvUnwritable, ResumeRefused
from fastmar_contract.locks import acquire

FORMAT = 1


@dataclass(frozen=True, slots=True)
class State:
    """The progress of a run.

    Attributes:
        rows: rows of the table that were processed.
        errors: processed rows that could not be scored.
        warned: rows that were scored with warnings.
        size: bytes of the part file.
    """

    rows: int = 0
    errors: int = 0
    warned: int = 0
    size: int = 0


def working_files(target: Path) -> tuple[Path, Path]:
    """The part file and the journal of an output file."""
    return target.with_name(target.name + ".part"), target.with_name(target.name + ".journal")


def rows_kept(target: Path) -> int:
    """The number of rows that an interrupted run completed; the next run resumes there.

    It is read from the journal, since the interruption may come between a write and its report.
    """
    try:
        lines = working_files(target)[1].read_bytes().split(b"\n")
    except OSError:
        return 0
    state, _ = _last_state(lines[1:])
    return state.rows if state else 0


class Output:
    """The output file during a run.

    Attributes:
        state: the progress.
        resumed: rows that earlier runs processed.
    """

    def __init__(self, target: Path, description: Mapping[str, Any], *, resume: bool) -> None:
        """Resume an interrupted run of the same description if `resume`; otherwise start again.

        Args:
            target: the output file.
            description: identifies the run: values by the name of the input that they identify, in JSON's types.
            resume: whether to resume.

        Raises:
            ResumeRefused: the interrupted run has another description, or is still running.
            CsvUnwritable: the file can't be written.
        """
        self._target = target
        self._part, self._journal_path = working_files(target)
        self._description = {"format": FORMAT, **description}
        self.state = State()
        with self._write_errors(), ExitStack() as files:
            # Unbuffered, so that closing a file after a failure writes nothing.
            self._journal = files.enter_context(self._journal_path.open("a+b", buffering=0))
            if not acquire(self._journal):
                raise ResumeRefused(
                    f"another run is writing {self._part}.",
                    fix="wait until it ends, or choose another output file.",
                    code="run_in_progress",
                )
            state = self._interrupted_state() if resume and self._part.exists() else None
            self._file = files.enter_context(self._part.open("r+b" if state else "wb", buffering=0))
            if state is None:
                self._start()
            else:
                self._resume(state)
            files.pop_all()  # without errors, the files stay open until `close`
        self.resumed = self.state.rows

    @property
    def is_empty(self) -> bool:
        """Whether nothing is written yet."""
        return self.state.size == 0

    def append(self, text: bytes, *, rows: int = 0, errors: int = 0, warned: int = 0) -> None:
        """Append lines durably: they are on the disk when this returns.

        Raises:
            CsvUnwritable: they can't be written, such as on a full disk. Earlier lines are kept.
        """
        before = self.state
        after = State(before.rows + rows, before.errors + errors, before.warned + warned, before.size + len(text))
        with self._write_errors():
            _append_and_sync(self._file, text)
            self._log(asdict(after))
        self.state = after

    def finish(self) -> None:
        """Replace the target by the part file, and remove the journal."""
        with self._write_errors():
            self._file.close()
            self._part.replace(self._target)
            self._journal.close()
            self._journal_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files, and keep them for another run to resume."""
        self._file.close()
        self._journal.close()

    def _start(self) -> None:
        self._journal.truncate(0)
        self._log(self._description)

    def _resume(self, state: State) -> None:
        self._file.truncate(state.size)
        self._file.seek(state.size)
        self.state = state

    def _interrupted_state(self) -> State | None:
        """The progress of the interrupted run; None if it completed no chunk."""
        self._journal.seek(0)
        first, *others = self._journal.read().split(b"\n")
        state, size = _last_state(others)
        if state is None:
            return None
        self._check(first, state)
        self._journal.truncate(len(first) + 1 + size)
        return state

    def _check(self, first: bytes, state: State) -> None:
        try:
            description = json.loads(first)
        except ValueError as error:
            raise ResumeRefused(f"{self._journal_path} is damaged.", fix=_RESTART, code="journal_damaged") from error
        current = json.loads(json.dumps(self._description))
        changed = [name for name in current if description.get(name) != current[name]]
        if changed:
            raise ResumeRefused(
                f"{self._part} has {state.rows:,} rows of an interrupted run; changed since: {', '.join(changed)}.",
                fix=_RESTART,
                code="run_changed",
            )
        if self._part.stat().st_size < state.size:
            raise ResumeRefused(
                f"{self._part} is shorter than when its run was interrupted.", fix=_RESTART, code="part_truncated"
            )

    def _log(self, entry: Mapping[str, Any]) -> None:
        _append_and_sync(self._journal, json.dumps(entry).encode() + b"\n")

    @contextmanager
    def _write_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CsvUnwritable(
                f"{self._target} can't be written ({error.strerror or error}).",
                fix="check permissions and free space, then run it again to resume.",
            ) from error


_RESTART = "score all rows again with resume=False (--no-resume), or undo the change."


def _last_state(lines: Sequence[bytes]) -> tuple[State | None, int]:
    """The last complete state in the journal, if any, and the size in bytes of the lines up to it.

    Args:
        lines: the journal without its first line; the text after the last line end is the last item.
    """
    state, size = None, 0
    for line in lines[:-1]:  # the last one is empty or incomplete
        try:
            state = State(**json.loads(line))
        except (ValueError, TypeError):  # an incomplete write
            break
        size += len(line) + 1
    return state, size


def _append_and_sync(file: FileIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())
