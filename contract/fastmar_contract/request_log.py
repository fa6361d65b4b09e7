"""The request log: records and answers that workers write as JSON lines, for `fastmar drift` and `fastmar feedback`.

Each line is an object:

    {"format": FORMAT, "time": "2026-11-29T12:00:00.123+00:00", "request_id": "...", "row": 0,
     "model": "adult", "version": "1.0", "digest": "..." or null,
     "record": {FIELD: VALUE}, "answer": {"prediction", "index", "probabilities", ..., "warnings": [{"field", "code"}]}}

`row` is the index of the record in its request, `digest` that of the archive's reference profile. The answer to a
refused record is ``{"error": {"code", "field"}}``. `field` is missing if the model has no such field. A line has the
lists ``"dropped"`` and ``"hashed"`` of field names if fields were left out of the record, or replaced by their hash.
"""

from __future__ import annotations

from typing import Any

FORMAT = "fastmar-requests/1"
ENDING = ".jsonl"

ROWS = "fastmar_request_log_rows_total"
DROPPED = "fastmar_request_log_dropped_total"
"""Names of metrics: records that were written, and records that were lost because the writer was too slow or failed."""

_TEXTS = ("time", "request_id", "model", "version")
_OBJECTS = ("record", "answer")


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
