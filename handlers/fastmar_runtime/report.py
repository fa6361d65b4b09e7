"""Warnings and errors of the records of a batch, collected while the batch is processed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmar_contract.display import json_safe
from fastmar_contract.errors import RecordError
from fastmar_contract.faults import MissingColumn, add_fault
from fastmar_runtime.refusals import EXPLAINED_ERRORS

_MAX_SEARCHES = 50  # searches for similar names in one batch


class Report:
    """Warnings and errors of a batch, by the position of the record.

    Attributes:
        warnings: the warnings of each record.
        errors: the errors of refused records.
        misspelled: errors of missing columns, by column, with the name that a record has instead.
        explained: refused records for which all faults are reported; for the others, the first fault is.
    """

    __slots__ = ("_searches", "errors", "explained", "misspelled", "warnings")

    def __init__(self, size: int) -> None:
        self.warnings: list[list[dict[str, Any]]] = [[] for _ in range(size)]
        self.errors: dict[int, RecordError] = {}
        self.explained: set[int] = set()
        self.misspelled: dict[str | None, MissingColumn] = {}
        self._searches = _MAX_SEARCHES

    def warn(self, row: int, *, field: str, code: str, value: Any, message: str) -> None:
        """Add a warning to a record, which is still answered."""
        warning = {"field": json_safe(field), "code": code, "value": json_safe(value), "message": message}
        self.warnings[row].append(warning)

    def refuse(self, row: int, error: RecordError) -> None:
        """Refuse a record. Later faults in other columns of the record are added to its error."""
        known = self.errors.get(row)
        self.errors[row] = error if known is None else add_fault(known, error)

    def wants_all_faults(self, row: int) -> bool:
        """Whether to report all faults of a record, instead of its first one.

        Only for the first refused records of a batch, to save time; those are added to `explained`.
        """
        if len(self.explained) >= EXPLAINED_ERRORS:
            return False
        self.explained.add(row)
        return True

    def may_search(self) -> bool:
        """Whether to search for a similar name: the number of searches in a batch is limited, because they are slow."""
        self._searches -= 1
        return self._searches >= 0

    def subset(self, rows: Sequence[int]) -> Report:
        """A report of the records `rows` only; `merge` adds its errors to this one."""
        subset = Report(0)
        subset.warnings = [self.warnings[row] for row in rows]  # shared with this report
        subset.errors = {place: self.errors[row] for place, row in enumerate(rows) if row in self.errors}
        return subset

    def merge(self, subset: Report, rows: Sequence[int]) -> None:
        """Add the errors of a `subset` of `rows`."""
        self.errors |= {rows[place]: error for place, error in subset.errors.items()}
