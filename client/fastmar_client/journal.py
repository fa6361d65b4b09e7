"""A file that grows for a long time: what was written to it stays, whatever ends the program that writes it.

Beside `out.csv` there are, while it is made,

    out.csv.part       the lines so far
    out.csv.journal    JSON lines: first what this is a run of, then after each chunk how far it is

A chunk counts once its line in the journal is on the disk, after the chunk itself. Whatever stands in the part behind
that is cut off when the run goes on. In the end the part takes the place of `out.csv`, in one step.
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
    """How far a run is.

    Attributes:
        rows: of the table that were dealt with.
        errors: those of them that could not be scored.
        warned: those that were, with something to say about them.
        size: bytes of the part.
    """

    rows: int = 0
    errors: int = 0
    warned: int = 0
    size: int = 0


def beside(target: Path) -> tuple[Path, Path]:
    """The part and the journal of a file."""
    return target.with_name(target.name + ".part"), target.with_name(target.name + ".journal")


def rows_kept(target: Path) -> int:
    """The rows that an interrupted run dealt with for good, by what is on the disk: the next run goes on there.

    The interruption may have come after a chunk was put down and before anybody was told, so only the journal knows.
    """
    try:
        lines = beside(target)[1].read_bytes().split(b"\n")
    except OSError:
        return 0
    state, _ = _last_state(lines[1:])
    return state.rows if state else 0


class Output:
    """The file of answers while it is made.

    Attributes:
        state: how far it is.
        resumed: the rows that an earlier run dealt with.
    """

    def __init__(self, target: Path, about: Mapping[str, Any], *, resume: bool) -> None:
        """Go on where an earlier run of the same thing was interrupted, if `resume`; begin anew otherwise.

        Args:
            target: the file in the end.
            about: what this is a run of, by parts that have names which make sense to a person; JSON's types.
            resume: whether to go on.

        Raises:
            ResumeRefused: the earlier run was of something else, or is still under way.
            CsvUnwritable: it can't be written.
        """
        self._target = target
        self._part, self._journal_path = beside(target)
        self._about = {"format": FORMAT, **about}
        self.state = State()
        with self._explained(), ExitStack() as opened:
            # Without buffers: when one of these is closed after a failure, nothing is written late.
            self._journal = opened.enter_context(self._journal_path.open("a+b", buffering=0))
            if not acquire(self._journal):
                raise ResumeRefused(
                    f"another run is writing {self._part}.",
                    fix="wait until it ends, or name another file for the answers.",
                )
            found = self._found() if resume and self._part.exists() else None
            self._file = opened.enter_context(self._part.open("r+b" if found else "wb", buffering=0))
            if found is None:
                self._begin()
            else:
                self._go_on(found)
            opened.pop_all()  # they stay open until `close`, unless something went wrong
        self.resumed = self.state.rows

    @property
    def is_empty(self) -> bool:
        """Whether nothing was written yet."""
        return self.state.size == 0

    def append(self, text: bytes, *, rows: int = 0, errors: int = 0, warned: int = 0) -> None:
        """Add lines; when this returns, they are there to stay.

        Raises:
            CsvUnwritable: there is no room, or the like. What was appended before stays.
        """
        before = self.state
        after = State(before.rows + rows, before.errors + errors, before.warned + warned, before.size + len(text))
        with self._explained():
            _to_disk(self._file, text)
            self._note(asdict(after))
        self.state = after

    def finish(self) -> None:
        """Put the file in its place."""
        with self._explained():
            self._file.close()
            self._part.replace(self._target)
            self._journal.close()
            self._journal_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Leave the part as it is, for another run to go on with."""
        self._file.close()
        self._journal.close()

    def _begin(self) -> None:
        self._journal.truncate(0)
        self._note(self._about)

    def _go_on(self, state: State) -> None:
        self._file.truncate(state.size)
        self._file.seek(state.size)
        self.state = state

    def _found(self) -> State | None:
        """How far the earlier run was; None where it did not come to anything."""
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
            about = json.loads(first)
        except ValueError as error:
            raise ResumeRefused(f"{self._journal_path} is damaged.", fix=_ANEW) from error
        others = [name for name in self._about if about.get(name) != json.loads(json.dumps(self._about[name]))]
        if others:
            raise ResumeRefused(
                f"{self._part} holds {state.rows:,} rows of a run that was interrupted, and since then "
                f"{' and '.join(others)} changed.",
                fix=_ANEW,
            )
        if self._part.stat().st_size < state.size:
            raise ResumeRefused(f"{self._part} was cut short since its run was interrupted.", fix=_ANEW)

    def _note(self, entry: Mapping[str, Any]) -> None:
        _to_disk(self._journal, json.dumps(entry).encode() + b"\n")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CsvUnwritable(
                f"{self._target} can't be written ({error.strerror or error}).",
                fix="name a file that you may write, on a disk with room; run it again then, and it goes on.",
            ) from error


_ANEW = "score all rows anew with resume=False (--no-resume), or put back what changed."


def _last_state(lines: Sequence[bytes]) -> tuple[State | None, int]:
    """The last state that was written down whole, if any, and the bytes of the lines up to it.

    Args:
        lines: of the journal, without the first; what stands behind the last line end is last.
    """
    state, size = None, 0
    for line in lines[:-1]:  # the last one is empty, or torn
        try:
            state = State(**json.loads(line))
        except (ValueError, TypeError):  # the power failed while it was written
            break
        size += len(line) + 1
    return state, size


def _to_disk(file: FileIO, data: bytes) -> None:
    """Append `data`, and wait until it would outlive a power cut."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())
