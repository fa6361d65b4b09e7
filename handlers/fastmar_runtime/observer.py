"""Callbacks of a service, for metrics and for profiles of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from fastmar_runtime.bodies.request import Request
from fastmar_runtime.preprocess import Columns

Groups = Sequence[tuple[Columns, Sequence[int]]]


class Observer:
    """Base class of observers. By default the methods do nothing.

    Attributes:
        counts_checks: whether `computed` is called with check requests, too; see `fastmar_contract.check_requests`.

    A `Service` calls them in the thread that answers. The ASGI engine may refuse a request in another thread meanwhile.
    """

    counts_checks: ClassVar[bool] = False

    def refused(self, code: str) -> None:
        """A request could not be read as records.

        Args:
            code: the code of the error.
        """

    def computed(
        self,
        requests: Sequence[Request],
        answers: Sequence[Sequence[dict[str, Any]]],
        groups: Groups,
    ) -> None:
        """The records of a batch were answered.

        Args:
            requests: the requests of the batch.
            answers: the answers to the records of each request; the answer to a refused record has only `error`.
            groups: for each group of records that went through the graph together, its columns (see `Group.columns`)
                and the positions of its records among the records of all `requests`.
        """

    def close(self) -> None:
        """The service ends: no other method is called any more."""

    def responded(self, statuses: Sequence[int], seconds: float) -> None:
        """A batch was answered.

        Args:
            statuses: HTTP status of each request.
            seconds: duration of the whole batch.
        """


def without_checks(
    requests: Sequence[Request], answers: Sequence[Sequence[dict[str, Any]]], groups: Groups
) -> tuple[list[Request], list[Sequence[dict[str, Any]]], Groups]:
    """The arguments of `Observer.computed` without the check requests of the batch."""
    checks = [request.is_check for request in requests for _ in request.records]
    positions = {old: new for new, old in enumerate(row for row, is_check in enumerate(checks) if not is_check)}
    kept_groups = []
    for columns, rows in groups:
        kept = [place for place, row in enumerate(rows) if row in positions]
        if kept:
            selected = {name: [values[place] for place in kept] for name, values in columns.items()}
            kept_groups.append((selected, [positions[rows[place]] for place in kept]))
    pairs = [pair for pair in zip(requests, answers, strict=True) if not pair[0].is_check]
    return [request for request, _ in pairs], [answer for _, answer in pairs], kept_groups
