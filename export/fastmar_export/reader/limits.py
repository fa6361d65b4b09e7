"""How much of everything a learner's file may hold, and may make the reader build."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import HostileFile

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that learners of `learn.export()` stay far below.

    Time and memory are proportional to the file. Each byte of the pickle costs one turn of the opcode loop at most.
    What an opcode allocates, and the time that it takes beyond that turn, is charged to a `Budget` of `spare_units`
    plus `pickle_units` for each byte of the pickle plus `file_units` for each byte of the file.

    Attributes:
        file_bytes: size of the file.
        entries: files in the zip.
        pickle_bytes: size of `data.pkl`; weights are not in it.
        opcodes: opcodes of the pickle.
        marks: MARK opcodes open at once, which bounds how deep lists and calls may be written within each other.
        storages: storages of tensors that the pickle may name.
        range_items: length of a `range`, which takes no memory until somebody walks it.
        equal_hashes: different keys with one hash, which dicts and sets compare one by one.
        levels: lists and tuples within each other when the pickle has been read.
        spare_elements, unfolded_elements: how many elements they may have, each counted as often as it is used:
            a fixed number, plus one for each byte of the pickle.
        spare_units: part of the budget that does not depend on the file.
        pickle_units: part of the budget for each byte of the pickle.
        file_units: part of the budget for each byte of the file: tensors are views of its storages.
    """

    file_bytes: int = 16 * 1024 * _MIB
    entries: int = 100_000
    pickle_bytes: int = 512 * _MIB
    opcodes: int = 512 * _MIB
    marks: int = 5_000
    storages: int = 100_000
    range_items: int = 100_000_000
    equal_hashes: int = 16
    levels: int = 200
    spare_elements: int = 1_000_000
    unfolded_elements: int = 16
    spare_units: int = 64 * _MIB
    pickle_units: int = 40
    file_units: int = 4


class Budget:
    """What building objects may cost, in units of one byte of memory or about 10 ns of processor time.

    A charge is the larger of the two. So neither the memory nor the time of reading goes over the budget.
    """

    def __init__(self, limits: Limits, *, file_bytes: int, pickle_bytes: int) -> None:
        self.limits = limits
        self.total = limits.spare_units + limits.pickle_units * pickle_bytes + limits.file_units * file_bytes
        self.left = self.total

    def spend(self, units: int) -> None:
        """Take `units` off; raise `HostileFile` when they are not there."""
        self.left -= units
        if self.left < 0:
            raise too_much("the objects that the pickle builds", "bytes of memory", self.total)


def too_much(what: str, unit: str, limit: int) -> HostileFile:
    """The error for a bound that was passed."""
    return HostileFile(
        f"{what} exceed {limit:,} {unit}; no learner of learn.export() comes near.",
        fix="don't load this file anywhere; ask whoever made it for one written by learn.export().",
    )


WALKED = 220
"""Cost of one container or record when the audits walk through what was read: a node and an entry of a set."""
