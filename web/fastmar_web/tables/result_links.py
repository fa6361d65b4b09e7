"""The choice of rows in the address of the page of a scored table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from fastmar_web.tables.results import FAILED, WARNED, Choice

JSON = dict[str, Any]
STATE_NAMES = {FAILED: "Errors", WARNED: "Warnings"}
_LARGEST = 10**9  # number in an address


def choice_of(query: Mapping[str, str]) -> Choice:
    """The choice in the parameters of an address. Parameters that make no sense are ignored."""
    state = query.get("rows")
    return Choice(
        label=query.get("label"),
        state=state if state in STATE_NAMES else None,
        message=_number(query.get("message")),
        sort=_number(query.get("sort")),
        descending=query.get("order") == "desc",
        page=max(1, _number(query.get("page")) or 1),
    )


def parameters(choice: Choice) -> JSON:
    """The parameters of the address of a choice."""
    found = {
        "label": choice.label,
        "rows": choice.state,
        "message": choice.message,
        "sort": choice.sort,
        "order": "desc" if choice.descending else None,
        "page": choice.page if choice.page > 1 else None,
    }
    return {name: value for name, value in found.items() if value is not None}


class Links:
    """Addresses of the page, each with one change of the choice.

    Attributes:
        choice: the present choice.
    """

    def __init__(self, choice: Choice, address: Callable[..., str]) -> None:
        """`address` makes the address of the page from its parameters."""
        self.choice = choice
        self._address = address

    def to(self, **changes: Any) -> str:
        """The address of the page after a change of the choice; other rows start at the first page."""
        return self._address(**parameters(replace(self.choice, **{"page": 1, **changes})))


def _number(text: str | None) -> int | None:
    """A whole number from 0 in an address; None for another text."""
    number = int(text) if text and text.isascii() and text.isdecimal() and len(text) < 11 else None
    return number if number is not None and number <= _LARGEST else None
