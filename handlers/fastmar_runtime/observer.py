"""Callbacks of a service, for metrics and for profiles of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Observer:
    """Base class of observers. By default the methods do nothing.

    A `Service` calls them in the thread that answers. The ASGI engine may refuse a request in another thread meanwhile.
    """

    def refused(self, code: str) -> None:
        """A request could not be read as records.

        Args:
            code: of the error.
        """

    def prepared(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """A group of records was prepared for the graph.

        Args:
            columns: for tables, checked values of the records by column, as the first step receives them. For pictures
                and texts, their measures, such as brightness or length.
        """

    def answered(self, answers: Sequence[dict[str, Any]]) -> None:
        """The records of a request were answered.

        Args:
            answers: one per record; the answer of a refused record has only `error`.
        """

    def close(self) -> None:
        """The service ends: no other method is called any more."""

    def responded(self, statuses: Sequence[int], seconds: float) -> None:
        """A batch was answered.

        Args:
            statuses: HTTP status of each request.
            seconds: duration of the whole batch.
        """
