"""How much of everything a learner's file may hold, and may make the reader build."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import HostileFile

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that honest learners stay far below.

    The reader's time and memory are proportional to the file's size: what a pickle makes out of a few bytes (copies,
    views, arrays of zeros) counts against `spare_bytes` plus `copies` times the file's size.

    Attributes:
        file_bytes: size of the file.
        entries: files in the zip.
        pickle_bytes: size of `data.pkl`; weights are not in it.
        opcodes: opcodes of the pickle.
        marks: MARK opcodes open at once, which is how deep lists and calls may be written within each other.
        storages: storages of tensors that the pickle may name.
        range_items: length of a `range`, which takes no memory until somebody walks it.
        spare_bytes: memory for copies, whatever the file's size.
        copies: how many times the file's size its copies may take.
    """

    file_bytes: int = 16 * 1024 * _MIB
    entries: int = 100_000
    pickle_bytes: int = 512 * _MIB
    opcodes: int = 100_000_000
    marks: int = 5_000
    storages: int = 100_000
    range_items: int = 100_000_000
    spare_bytes: int = 64 * _MIB
    copies: int = 4


class Budget:
    """Bytes that may still be spent on what is built by copying rather than read from the file."""

    def __init__(self, limits: Limits, file_bytes: int) -> None:
        self.limits = limits
        self.total = limits.spare_bytes + limits.copies * file_bytes
        self.left = self.total

    def spend(self, nbytes: int) -> None:
        """Take `nbytes` off; raise `HostileFile` when they are not there."""
        self.left -= nbytes
        if self.left < 0:
            raise too_much("the objects that the pickle builds by copying", "bytes", self.total)


def too_much(what: str, unit: str, limit: int) -> HostileFile:
    """The error for a bound that was passed."""
    return HostileFile(
        f"{what} exceed {limit:,} {unit}; no honest learner comes near.",
        fix="don't load this file anywhere; ask whoever made it for one written by learn.export().",
    )
