"""The records of a request, and the format of its answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastmar_runtime.logs import RequestIds

ONE, LIST, INSTANCES, LINES, V2 = "one", "list", "instances", "lines", "v2"


@dataclass(slots=True)
class Request:
    """A parsed request.

    Attributes:
        records: one item per record; a `RecordError` in place of a record that can't be read.
        shape: the shape of the response: `ONE`, `LIST`, `INSTANCES`, `LINES` or `V2`.
        envelope: the request's JSON in protocol v2.
        ids: its identifiers, for log lines; None if the engine knows none.
        is_check: whether it is a check of a deployment, which monitoring does not count.
        batch_records: number of records that were computed together with it, including its own.
    """

    records: list[Any]
    shape: str = LIST
    envelope: dict[str, Any] = field(default_factory=dict)
    ids: RequestIds | None = None
    is_check: bool = False
    batch_records: int = 0
