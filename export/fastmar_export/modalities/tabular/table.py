"""What converters of tabular transforms share."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastmar_export.conversion import State
from fastmar_export.converters import Domain

TABLE = Domain("tabular")
"""Transforms of a table: procs, and those of a batch of rows."""


@dataclass(slots=True)
class Table:
    """The table's columns, and notices about them.

    Attributes:
        cats, conts: names of the category and number columns, in the network's order.
        notices: ``{"field", "code", "message"}`` for what a caller should know.
    """

    cats: list[str]
    conts: list[str]
    notices: list[State] = field(default_factory=list)

    def notice(self, column: str | None, code: str, message: str) -> None:
        """Add a notice, which the export prints and the model's schema holds."""
        self.notices.append({"field": column, "code": code, "message": message})
