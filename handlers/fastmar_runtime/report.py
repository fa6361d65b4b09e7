"""What is said about each record of a batch while it is answered: warnings, and errors that end its way."""

from __future__ import annotations

from typing import Any

from fastmar_runtime.errors import RecordError

_SHOWN = 80  # characters of a user's value that a message repeats
_SENT = 1000  # characters of it that a warning carries back


def shown(value: Any) -> str:
    """`value` for a message: its repr, cut to a length that fits a line."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, lists in lists in lists
        text = f"{type(value).__name__} that is too large to show"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text):,} characters)"


def sendable(value: Any) -> Any:
    """A user's string or number as JSON can carry it back: Python's own JSON reader lets more in than that.

    Half characters become question marks, an integer of more than 64 bits is cut text, and long text is cut, so that an
    answer can't be blown up from outside.
    """
    if isinstance(value, str):
        text = value.encode("utf-8", "replace").decode("utf-8")
        return text if len(text) <= _SENT else f"{text[:_SENT]}..."
    if isinstance(value, int) and value.bit_length() >= 64:
        return shown(value)
    return value


class Report:
    """Warnings and errors of a batch, by the record's position in it."""

    __slots__ = ("errors", "warnings")

    def __init__(self, size: int) -> None:
        self.warnings: list[list[dict[str, Any]]] = [[] for _ in range(size)]
        self.errors: dict[int, RecordError] = {}

    def warn(self, row: int, *, field: str, code: str, value: Any, message: str) -> None:
        """Say something about a record that is answered all the same."""
        warning = {"field": sendable(field), "code": code, "value": sendable(value), "message": message}
        self.warnings[row].append(warning)

    def refuse(self, row: int, error: RecordError) -> None:
        """End this record's way; the first error stands. Others of the batch go on."""
        self.errors.setdefault(row, error)
