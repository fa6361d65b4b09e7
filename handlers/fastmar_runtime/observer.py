"""What a service reports while it answers, for metrics and for profiles of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Observer:
    """Is called by a `Service`, in the thread that answers. Each method does nothing by default."""

    def refused(self, code: str) -> None:
        """A request could not be read as records; `code` is that of its error."""

    def prepared(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """The columns of answered records behind their checks, as the first step takes them; not of pictures."""

    def answered(self, answers: Sequence[dict[str, Any]]) -> None:
        """The answers to a request's records; a refused record has `error` instead."""

    def responded(self, statuses: Sequence[int], seconds: float) -> None:
        """A batch is done: the status of each request, and how long all of them took together."""
