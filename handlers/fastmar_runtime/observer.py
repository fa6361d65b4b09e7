"""Callbacks of a service, for metrics and for profiles of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmar_runtime.bodies.request import Request
from fastmar_runtime.preprocess import Columns


class Observer:
    """Base class of observers. By default the methods do nothing.

    A `Service` calls them in the thread that answers. The ASGI engine may refuse a request in another thread meanwhile.
    """

    def refused(self, code: str) -> None:
        """A request could not be read as records.

        Args:
            code: of the error.
        """

    def computed(
        self,
        requests: Sequence[Request],
        answers: Sequence[Sequence[dict[str, Any]]],
        groups: Sequence[tuple[Columns, Sequence[int]]],
    ) -> None:
        """The records of a batch were answered.

        Args:
            requests: of the batch.
            answers: for each request one per record; the answer of a refused record has only `error`.
            groups: of records that went through the graph together, their columns (see `Group.columns`) and positions
                among the records of all `requests`.
        """

    def close(self) -> None:
        """The service ends: no other method is called any more."""

    def responded(self, statuses: Sequence[int], seconds: float) -> None:
        """A batch was answered.

        Args:
            statuses: HTTP status of each request.
            seconds: duration of the whole batch.
        """
