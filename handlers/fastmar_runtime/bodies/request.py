"""The records of a body, and the shape in which they are answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ONE, LIST, INSTANCES, LINES, V2 = "one", "list", "instances", "lines", "v2"


@dataclass(slots=True)
class Request:
    """The content of a body.

    Attributes:
        records: one item a record; a `RecordError` in place of one that can't be read.
        shape: shape of the answer: one of `ONE`, `LIST`, `INSTANCES`, `LINES`, `V2`.
        envelope: of a protocol v2 request, the request itself.
    """

    records: list[Any]
    shape: str = LIST
    envelope: dict[str, Any] = field(default_factory=dict)
