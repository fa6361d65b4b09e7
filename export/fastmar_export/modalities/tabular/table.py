"""The object that converters of tabular transforms share."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastmar_export.conversion import State
from fastmar_export.converters import Domain

TABLE = Domain("tabular")
"""Transforms of a table: procs and batch transforms."""


@dataclass(slots=True)
class Table:
    """The table's columns, and notices about them.

    Attributes:
        cats, conts: names of the category and number columns, in the network's order.
        notices: facts that a caller should know, each as ``{"field", "code", "message"}``.
    """

    cats: list[str]
    conts: list[str]
    notices: list[State] = field(default_factory=list)

    def notice(self, column: str | None, code: str, message: str) -> None:
        """Add a notice. The export prints it, and the model's schema contains it."""
        self.notices.append({"field": column, "code": code, "message": message})
