"""The request log: records and answers that workers write as JSON lines, for `fastmar drift` and `fastmar feedback`.

Each line is an object:

    {"format": FORMAT, "time": "2026-11-29T12:00:00.123+00:00", "request_id": "...", "row": 0,
     "model": "adult", "version": "1.0", "digest": "..." or null,
     "record": {FIELD: VALUE}, "answer": {"prediction", "index", "probabilities", "warnings": [{"field", "code"}]}}

`row` is the index of the record in its request, `digest` that of the archive's reference profile. `record` has the
model's fields only, except pictures. The answer has those of its parts that are listed here. The answer to a refused
record is ``{"error": {"code", "field"}}``. Each `field` is null if the model has no such field. Further members, if
they are not empty: ``"measures"`` of a picture or text, such as its brightness; ``"dropped"`` and ``"hashed"``, lists
of the fields that were left out of the record, or replaced by their hash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastmar_contract.keys import MIN_LENGTH

FORMAT = "fastmar-requests/1"
ENDING = ".jsonl"

METRICS = ROWS, DROPPED = "fastmar_request_log_rows_total", "fastmar_request_log_dropped_total"
"""Names of metrics: records that were written, and records that were lost because the writer was too slow or failed."""

SALT = "FASTMAR_REQUEST_LOG_SALT"
"""Environment variable: the secret key of the hashes."""

_TEXTS = ("time", "request_id", "model", "version")
_OBJECTS = ("record", "answer")


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What workers log, and where.

    Attributes:
        folder: the folder of the files.
        sample: share of the requests, from 0 to 1.
        drop: fields that are left out.
        hash: fields whose values are replaced by their HMAC-SHA256 with the key in the variable `SALT`.
        max_bytes: the maximum number of bytes of all files of a host in the folder; the oldest ones are removed.
        hidden: the dropped and hashed fields of each model that was served at the start. A version
            that lacks one of them, perhaps because the field has another name, is not logged.
    """

    folder: str
    sample: float = 1.0
    drop: Sequence[str] = ()
    hash: Sequence[str] = ()
    max_bytes: int = 1 << 30
    hidden: Mapping[str, Sequence[str]] = field(default_factory=dict)


def read_salt(environ: Mapping[str, str]) -> bytes | None:
    """The key of the hashes; None if it is missing or too short."""
    salt = environ.get(SALT, "").encode()
    return salt if len(salt) >= MIN_LENGTH else None


def is_entry(line: Any) -> bool:
    """Whether the JSON value of a line is an entry of a request log. The values of record and answer aren't checked."""
    return (
        isinstance(line, dict)
        and line.get("format") == FORMAT
        and all(isinstance(line.get(key), str) for key in _TEXTS)
        and type(line.get("row")) is int
        and isinstance(line.get("digest"), str | None)
        and all(isinstance(line.get(key), dict) for key in _OBJECTS)
    )
