"""What is said about each record of a batch while it is answered: warnings, and errors that end its way."""

from __future__ import annotations

from typing import Any

from fastmar_runtime.errors import RecordError

_SHOWN = 80  # characters of a user's value that a message repeats


def shown(value: Any) -> str:
    """`value` for a message: its repr, cut to a length that fits a line."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text):,} characters)"


class Report:
    """Warnings and errors of a batch, by the record's position in it."""

    __slots__ = ("errors", "warnings")

    def __init__(self, size: int) -> None:
        self.warnings: list[list[dict[str, Any]]] = [[] for _ in range(size)]
        self.errors: dict[int, RecordError] = {}

    def warn(self, row: int, *, field: str, code: str, value: Any, message: str) -> None:
        """Say something about a record that is answered all the same."""
        self.warnings[row].append({"field": field, "code": code, "value": value, "message": message})

    def refuse(self, row: int, error: RecordError) -> None:
        """End this record's way; the first error stands. Others of the batch go on."""
        self.errors.setdefault(row, error)
