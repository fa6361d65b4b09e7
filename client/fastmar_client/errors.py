"""Errors of requests to a model, and of scoring a CSV file.

    ClientError               any error of this package; a FastmarError of fastmar_contract.errors
    ├── ServerUnreachable         no connection, or the connection broke
    ├── Timeout                   no answer within the timeout
    ├── ModelNotFound             the server has no such model or version
    ├── Unauthorized              the key is missing, wrong or expired
    ├── RecordRefused             the model can't read or score a record
    │   └── TooLarge                  the request exceeds the server's limit of bytes or records
    ├── MethodRefused             the address does not support the HTTP method
    ├── ServerFailed              the server can't answer: it is overloaded, a worker died, or its answer is not JSON
    ├── CsvUnreadable             the input table can't be read, or lacks columns
    ├── CsvUnwritable             the output file can't be written
    └── ResumeRefused             the interrupted run had another table, model, encoding or choice of columns

Each error has a message that names what was found and where, and a fix.
"""

from __future__ import annotations

from typing import Any

from fastmar_contract.errors import FastmarError

Fault = dict[str, Any]  # "code", "field", "message", "fix"


class ClientError(FastmarError):
    """Base class of this package's errors.

    Attributes:
        message: what was found; the server's message if it sent one.
        fix: what to do about it.
        code: stable name of the problem, for programs.
        field: the record's field with the problem, or None.
        status: HTTP status, or None without a response.
        model: the name of the requested model, or None.
        request_id: the request's id in the server's log, if known; quote it in a report.
        retry_after: the response's Retry-After header, or None.
        faults: if a record has several faults, each with "code", "field", "message" and "fix". The error itself
            describes the first one.
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
        super().__init__(message, fix=fix, code=code)
        self.field = field
        self.status = status
        self.model = model
        self.request_id = request_id
        self.retry_after = retry_after
        self.faults: list[Fault] = []

    def __str__(self) -> str:
        return f"{self.message}\n  Fix: {self.fix}"

    def as_dict(self) -> dict[str, object]:
        """The error in the server's format: ``{"error": {"code", "field", "message", "fix"}}``."""
        error = {"code": self.code, "field": self.field, "message": self.message, "fix": self.fix}
        return {"error": {**error, "errors": self.faults} if self.faults else error}


class ServerUnreachable(ClientError):
    """No server listens at the address, or the connection broke."""

    code = "server_unreachable"


class Timeout(ClientError):
    """The server did not answer in time. It may still be working on the request."""

    code = "timeout"


class ModelNotFound(ClientError):
    """The server has no such model, or no such version of it."""

    code = "model_not_found"


class Unauthorized(ClientError):
    """The server requires a key, and the request has none, a wrong one or an expired one."""

    code = "unauthorized"


class RecordRefused(ClientError):
    """The model refused the request or the record; `code`, `field` and `fix` are the model's."""

    code = "record_refused"


class TooLarge(RecordRefused):
    """The request exceeds the server's limit of bytes or records."""

    code = "too_large"


class MethodRefused(ClientError):
    """The address does not support the HTTP method: it is not the address of a model."""

    code = "method_refused"


class ServerFailed(ClientError):
    """The server accepted the request and failed to answer it."""

    code = "server_failed"


class CsvUnreadable(ClientError):
    """The input table does not exist, is not a CSV in the given encoding, or lacks columns of the model."""

    code = "csv_unreadable"


class CsvUnwritable(ClientError):
    """The output file can't be written, or a requested column does not exist."""

    code = "csv_unwritable"


class ResumeRefused(ClientError):
    """The interrupted run had another table, model, encoding or choice of columns; or it is still running."""

    code = "resume_refused"


def wrong_count_error(answers: int, records: int, model: str | None = None) -> ServerFailed:
    """The error for a response whose answers can't be assigned to the records."""
    return ServerFailed(
        f"{model or 'the model'} returned {answers} answers for {records} records.",
        fix="export the model again with this version of fastmar.",
        code="wrong_count",
        model=model,
    )
