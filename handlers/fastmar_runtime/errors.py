"""What can go wrong while a record is answered or a bundle is opened.

    FastmarError              anything fastmar says to a person; carries a fix
    ├── BundleError           an archive or its folder can't be served
    │   ├── BundleUnreadable      not an archive of fastmar's, or a part is missing
    │   ├── ProtocolUnknown       written by another protocol than this runtime reads
    │   ├── RuntimeMismatch       needs another version of the runtime
    │   ├── GraphRefused          the graph holds an operator that no export writes
    │   ├── GraphFailed           ONNX Runtime fails on the graph, or its output can't be decoded
    │   └── GoldenMismatch        the golden records are not reproduced here
    ├── RequestError          a whole request can't be read as records (HTTP 400, 413, 415)
    └── RecordError           one record can't be scored (HTTP 400 for it alone)

Errors take facts and compose the sentence; every message ends with what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
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


class BundleError(FastmarError):
    """An archive, or the folder it was unpacked to, can't be served."""

    code = "bundle_error"


class BundleUnreadable(BundleError):
    """Not an archive that fastmar wrote, or a part of it is missing or damaged."""

    code = "bundle_unreadable"


class ProtocolUnknown(BundleError):
    """The bundle speaks a protocol number that this runtime does not read."""

    code = "protocol_unknown"


class RuntimeMismatch(BundleError):
    """The bundle was written for another version of the runtime than the one that opened it."""

    code = "runtime_mismatch"


class GraphRefused(BundleError):
    """The graph holds something that no export writes."""

    code = "graph_refused"


class GraphFailed(BundleError):
    """ONNX Runtime fails on the graph, or the graph answers something else than the spec says."""

    code = "graph_failed"


class GoldenMismatch(BundleError):
    """This machine does not reproduce the answers that were recorded at export."""

    code = "golden_mismatch"


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
