"""The remarks that the form has about the numbers of a table: its limits, and the range of the reference data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from fastmar_client import Schema
from fastmar_client.csv_answers import warnings_text
from fastmar_client.problems import Column
from fastmar_web.errors import FieldMessage
from fastmar_web.forms.fields import Field
from fastmar_web.forms.form import make_form
from fastmar_web.forms.values import LIMIT_CODES, limit_problem, range_remark
from fastmar_web.presentation import Presentation

JSON = dict[str, Any]
Remark = Callable[[str], FieldMessage | None]  # a cell to the form's remark about it

SEPARATOR = "; "  # between the warnings of a row


def remarks_by_column(schema: JSON) -> dict[str, Remark]:
    """The function that finds the remark about a cell, for each column of the model that is in the form."""
    columns, fields = Schema(schema).columns, make_form(schema, Presentation(schema)).fields
    return {name: _remark(columns[name], each) for name, each in fields.items() if name in columns}


def _remark(column: Column, form_field: Field) -> Remark:
    read = column.cell_reader()

    @lru_cache(maxsize=4096)
    def remark(cell: str) -> FieldMessage | None:
        value = read(cell)
        return limit_problem(form_field, value) or range_remark(form_field, value)

    return remark


class WarningsWithRemarks:
    """The warnings of rows, with the form's remarks.

    A remark about the range of a number says nothing new about a column that has a warning of the model. A number
    beyond the form's limits is always named.
    """

    def __init__(self, schema: JSON, header: Sequence[str]) -> None:
        by_column = remarks_by_column(schema)
        self._remarks = [(place, name, by_column[name]) for place, name in enumerate(header) if name in by_column]

    def __call__(self, cells: Sequence[str], warnings: str) -> str:
        """The text for the row with these cells, to which the model has answered with these warnings."""
        found = [
            {"field": name, "message": message.text}
            for place, name, remark in self._remarks
            if (message := remark(cells[place]))
            and (message.code in LIMIT_CODES or f"{SEPARATOR}{name}: " not in f"{SEPARATOR}{warnings}")
        ]
        return SEPARATOR.join(filter(None, [warnings, warnings_text(found)]))
