"""Warnings and errors of each record of a batch, collected while the batch is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmar_contract.display import json_safe
from fastmar_contract.errors import RecordError
from fastmar_runtime.faults import joined
from fastmar_runtime.refusals import EXPLAINED

_MOST_SEARCHES = 50  # searches for similar names in one batch


class Report:
    """Warnings and errors of a batch, by the record's position in it.

    Attributes:
        warnings: of each record.
        errors: of records that are refused.
        explained: refused records of which all faults are searched for; of the others one is enough.
    """

    __slots__ = ("_searches", "errors", "explained", "warnings")

    def __init__(self, size: int) -> None:
        self.warnings: list[list[dict[str, Any]]] = [[] for _ in range(size)]
        self.errors: dict[int, RecordError] = {}
        self.explained: set[int] = set()
        self._searches = _MOST_SEARCHES

    def warn(self, row: int, *, field: str, code: str, value: Any, message: str) -> None:
        """Add a warning to a record, which is answered all the same."""
        warning = {"field": json_safe(field), "code": code, "value": json_safe(value), "message": message}
        self.warnings[row].append(warning)

    def refuse(self, row: int, error: RecordError) -> None:
        """Refuse a record. Faults that are found later in other columns of it are added; others of the batch go on."""
        known = self.errors.get(row)
        self.errors[row] = error if known is None else joined(known, error)

    def explain(self, row: int) -> bool:
        """Whether to search for all faults of a record: of the first ones that are refused, for the time it takes."""
        if len(self.explained) >= EXPLAINED:
            return False
        self.explained.add(row)
        return True

    def may_search(self) -> bool:
        """Whether to search for a similar name once more: a batch of misspelled names must not take much longer."""
        self._searches -= 1
        return self._searches >= 0

    def part(self, rows: Sequence[int]) -> Report:
        """A report of the records `rows` alone; `take_back` adds what was found to this one."""
        part = Report(0)
        part.warnings = [self.warnings[row] for row in rows]  # the same lists
        part.errors = {place: self.errors[row] for place, row in enumerate(rows) if row in self.errors}
        return part

    def take_back(self, part: Report, rows: Sequence[int]) -> None:
        """Add what was found in a `part` of `rows`."""
        self.errors |= {rows[place]: error for place, error in part.errors.items()}
