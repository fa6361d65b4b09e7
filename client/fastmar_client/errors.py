"""What can go wrong between a caller and a model, and on the way from table to table.

    ClientError               anything that goes wrong with a request
    ├── ServerUnreachable         no connection, or it broke
    ├── Timeout                   no answer within the time given
    ├── ModelNotFound             the server has no model, or no version, of that name
    ├── Unauthorized              the key is missing, wrong or expired
    ├── RecordRefused             the model can't read or score what was sent
    │   └── TooLarge                  the request has more bytes or records than the server takes
    ├── MethodRefused             the address does not take such requests
    ├── ServerFailed              the server could not answer: overloaded, a worker died, or an answer that is no JSON
    ├── CsvUnreadable             the table to be scored is none, or lacks columns
    ├── CsvUnwritable             the file of answers can't be written
    └── ResumeRefused             what was begun was of another table, model or choice of columns

A message says what was found and ends with what to do.
"""

from __future__ import annotations

from typing import Any

Fault = dict[str, Any]  # "code", "field", "message", "fix"


class ClientError(Exception):
    """A request that was not answered with a prediction.

    Attributes:
        message: what was found; the server's own words where it has some.
        fix: what to do about it.
        code: stable name of the problem, for programs.
        field: the record's field that the problem is in, or None.
        status: HTTP status, or None when there was no answer.
        model: the model that was asked, or None.
        request_id: the request's id in the server's log, where the server names one; quote it in a report.
        retry_after: what the server said of when to try again, or None.
        faults: all that is wrong with the record, each with "code", "field", "message" and "fix", where there is more
            than one; the error itself is the first of them.
    """

    code = "client_error"

    def __init__(
        self,
        message: str,
        *,
        fix: str,
        code: str | None = None,
        field: str | None = None,
        status: int | None = None,
        model: str | None = None,
        request_id: str | None = None,
        retry_after: str | None = None,
    ) -> None:
        super().__init__(message, fix)
        self.message = message
        self.fix = fix
        self.code = code or self.code
        self.field = field
        self.status = status
        self.model = model
        self.request_id = request_id
        self.retry_after = retry_after
        self.faults: list[Fault] = []

    def __str__(self) -> str:
        return f"{self.message}\n  Fix: {self.fix}"

    def as_dict(self) -> dict[str, object]:
        """In the form in which the server reports an error: ``{"error": {"code", "field", "message", "fix"}}``."""
        error = {"code": self.code, "field": self.field, "message": self.message, "fix": self.fix}
        return {"error": {**error, "errors": self.faults} if self.faults else error}


class ServerUnreachable(ClientError):
    """There is no server at the address, or the connection broke."""

    code = "server_unreachable"


class Timeout(ClientError):
    """The server did not answer in time. It may still be working on the request."""

    code = "timeout"


class ModelNotFound(ClientError):
    """The server has no such model, or no such version of it."""

    code = "model_not_found"


class Unauthorized(ClientError):
    """The server requires a key, and got none, a wrong one, or one that has expired."""

    code = "unauthorized"


class RecordRefused(ClientError):
    """The model refused what was sent; `code`, `field` and `fix` are its own."""

    code = "record_refused"


class TooLarge(RecordRefused):
    """The request has more bytes or more records than the server takes in one."""

    code = "too_large"


class MethodRefused(ClientError):
    """The address does not take such requests: it is not that of a model, or of another server."""

    code = "method_refused"


class ServerFailed(ClientError):
    """The server took the request and could not answer it."""

    code = "server_failed"


class CsvUnreadable(ClientError):
    """The table to be scored is not there, is no CSV in the encoding given, or lacks columns of the model."""

    code = "csv_unreadable"


class CsvUnwritable(ClientError):
    """The file of answers can't be written, or asks for columns that there are not."""

    code = "csv_unwritable"


class ResumeRefused(ClientError):
    """The run that was interrupted was of another table, model or choice of columns; or is still under way."""

    code = "resume_refused"


def wrong_count(answers: int, records: int, model: str | None = None) -> ServerFailed:
    """The error for a model that leaves it open which answer is whose."""
    return ServerFailed(
        f"{model or 'the model'} gave {answers} answers to {records} records.",
        fix="export the model again with this fastmar; its handler answers lists.",
        code="wrong_count",
        model=model,
    )
