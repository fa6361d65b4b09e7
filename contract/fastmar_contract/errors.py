"""Errors of records and requests, in the form in which they are sent over HTTP.

FastmarError              base class; has a code, a message and a fix
├── RequestError          a whole request can't be read as records (HTTP 400, 413, 415)
│   └── TableUnreadable       a CSV has no usable header, no rows, or can't be parsed
└── RecordError           one record can't be scored (HTTP 400 for it alone)
"""

from __future__ import annotations

import copyreg
from collections.abc import Mapping, Sequence
from typing import Any

_MAX_FAULTS = 100  # faults of one record that its answer lists


class FastmarError(Exception):
    """A message for people: what was found, where, and how to fix it.

    Attributes:
        code: a stable snake_case name of the problem, for programs.
        message: one sentence: what was found and where.
        fix: one sentence in the imperative: what to do.
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

    def __reduce__(self) -> tuple[Any, ...]:
        # By default, pickle would call the class with the positional arguments only.
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


def describe_error(error: Any) -> str:
    """An error of any of our packages for a terminal: class, message, code and fix.

    The code is left out if it is the one of the class.
    """
    code = "" if error.code == type(error).code else f" [{error.code}]"
    return f"{type(error).__name__}: {error.message}{code}\n  Fix: {error.fix}"


class RequestError(FastmarError):
    """A whole request can't be read as records; it is answered with status 400, 413 or 415.

    Attributes:
        v2: whether the request uses protocol v2, where an error is a single string.
    """

    code = "bad_request"
    v2 = False

    def as_dict(self) -> dict[str, Any]:
        """The body of the response: ``{"error": {"code", "field", "message", "fix"}}``."""
        return {"error": {"code": self.code, "field": None, "message": self.message, "fix": self.fix}}


class TableUnreadable(RequestError):
    """A CSV has no header with the model's columns, no rows, or can't be parsed."""

    code = "table_unreadable"


class RecordError(FastmarError):
    """One record can't be scored. The other records of its request and batch are answered.

    Attributes:
        field: the column that the problem is in, or None.
        faults: all faults, if the record has several. `code` and `field` are then those of the first fault; `message`
            and `fix` cover all of them.
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
        """The error that `as_dict` wrote under "error"."""
        faults = [cls.from_dict(fault) for fault in error.get("errors", ())]
        return cls(error["code"], error["message"], fix=error["fix"], field=error["field"], faults=faults)

    def as_dict(self, record: int | None = None) -> dict[str, Any]:
        """The answer for this record: ``{"error": {"code", "field", "record", "message", "fix"}}``.

        A record with several faults also has ``"errors": [{"code", "field", "message", "fix"}, ...]``.
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
                for fault in self.faults[:_MAX_FAULTS]
            ]
        return {"error": error}
