"""Errors of records and requests, in the shape in which they cross HTTP.

FastmarError              a message for a person; carries a fix
├── RequestError          a whole request can't be read as records (HTTP 400, 413, 415)
│   └── TableUnreadable       a CSV has no usable header, or can't be taken apart
└── RecordError           one record can't be scored (HTTP 400 for it alone)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_MOST_FAULTS = 100  # faults of one record that its answer lists


class FastmarError(Exception):
    """A message for a person: what was found, where, and what to do about it.

    Attributes:
        code: a stable snake_case name of the problem, for programs.
        message: one sentence that says what was found and where.
        fix: one sentence that says what to do.
    """

    code = "error"

    def __init__(self, message: str, *, fix: str, code: str | None = None) -> None:
        super().__init__(message, fix)
        self.message = message
        self.fix = fix
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{type(self).__name__}: {self.message}\n  Fix: {self.fix}"


class RequestError(FastmarError):
    """A request can't be read as records at all: it is answered with status 400, 413 or 415.

    Attributes:
        v2: whether the request is one of protocol v2, where an error is one string.
    """

    code = "bad_request"
    v2 = False

    def as_dict(self) -> dict[str, Any]:
        """The body of the answer: ``{"error": {"code", "field", "message", "fix"}}``."""
        return {"error": {"code": self.code, "field": None, "message": self.message, "fix": self.fix}}


class TableUnreadable(RequestError):
    """A CSV has no header of the model's columns, no rows, or can't be taken apart."""

    code = "table_unreadable"


class RecordError(FastmarError):
    """One record can't be scored. Others of its request and of its batch are answered.

    Attributes:
        field: the column that the problem is in, or None.
        faults: where the record has several faults, each of them; `code` and `field` are the first one's then, and
            `message` and `fix` speak of all.
    """

    code = "bad_record"

    def __init__(
        self, code: str, message: str, *, fix: str, field: str | None = None, faults: Sequence[RecordError] = ()
    ) -> None:
        super().__init__(message, fix=fix, code=code)
        self.field = field
        self.faults = tuple(faults)

    @classmethod
    def from_dict(cls, error: Mapping[str, Any]) -> RecordError:
        """The error that `as_dict` describes under "error"."""
        faults = [cls.from_dict(fault) for fault in error.get("errors", ())]
        return cls(error["code"], error["message"], fix=error["fix"], field=error["field"], faults=faults)

    def as_dict(self, record: int | None = None) -> dict[str, Any]:
        """The answer for this record: ``{"error": {"code", "field", "record", "message", "fix"}}``.

        A record with several faults has ``"errors": [{"code", "field", "message", "fix"}, ...]`` beside them.
        """
        error: dict[str, Any] = {
            "code": self.code,
            "field": self.field,
            "record": record,
            "message": self.message,
            "fix": self.fix,
        }
        if self.faults:
            error["errors"] = [
                {"code": fault.code, "field": fault.field, "message": fault.message, "fix": fault.fix}
                for fault in self.faults[:_MOST_FAULTS]
            ]
        return {"error": error}
