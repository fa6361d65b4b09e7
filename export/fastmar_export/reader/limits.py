"""Limits for the content of a learner's file, and a budget for the objects that the reader builds from it."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import HostileFile

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that are far above the values of exported learners.

    Time and memory are proportional to the size of the file. Each byte of the pickle takes at most one iteration of the
    opcode loop. Memory that an opcode allocates, and additional time, are charged to a `Budget` of `spare_units`, plus
    `pickle_units` for each byte of the pickle, plus `file_units` for each byte of the file.

    Attributes:
        file_bytes: size of the file.
        entries: number of files in the zip.
        pickle_bytes: size of `data.pkl`, which does not include weights.
        opcodes: number of opcodes in the pickle.
        marks: number of nested MARK opcodes, which limits the nesting of lists and calls.
        storages: number of tensor storages that the pickle names.
        range_items: length of a `range`, which needs no memory before it is iterated.
        equal_hashes: number of different keys with one hash, which dicts and sets compare one by one.
        levels: nesting depth of lists and tuples.
        spare_elements, unfolded_elements: limit of their elements, where a shared element counts as often as it is
            used: a fixed number, plus a number for each byte of the pickle.
        spare_units: part of the budget that does not depend on the file.
        pickle_units: part of the budget for each byte of the pickle.
        file_units: part of the budget for each byte of the file, because tensors are views of its storages.
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
    """The allowed cost of building objects, in units of one byte of memory or about 10 ns of processor time.

    A charge is the larger of the two, so the budget limits both memory and time.
    """

    def __init__(self, limits: Limits, *, file_bytes: int, pickle_bytes: int) -> None:
        self.limits = limits
        self.total = limits.spare_units + limits.pickle_units * pickle_bytes + limits.file_units * file_bytes
        self.left = self.total

    def spend(self, units: int) -> None:
        """Charge `units`; raise `HostileFile` if the budget is exceeded."""
        self.left -= units
        if self.left < 0:
            raise limit_exceeded(
                "the memory for the pickle's objects", f"{self.total:,} bytes", code="memory_budget_exceeded"
            )


def limit_exceeded(what: str, limit: str, *, code: str = "limit_exceeded") -> HostileFile:
    """The error for a file that exceeds a limit."""
    return HostileFile(
        f"{what} exceeds the limit of {limit}, which exported learners do not reach.",
        fix="do not load this file anywhere; ask its author for a file written by learn.export().",
        code=code,
    )


WALKED = 220
"""Cost of one container or record in the audits: a node and an entry of a set."""
