"""Columns between two steps: distinct values with their positions, or numbers with their nulls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column of numbers.

    Attributes:
        values: float64 [rows]; meaningless where null.
        nulls: bool [rows], or None if there are no nulls.
    """

    values: npt.NDArray[np.float64]
    nulls: Bools | None = None


@dataclass(frozen=True, slots=True)
class Coded:
    """A column with few distinct values: the record's rule is applied once to each of them.

    Attributes:
        positions: the position of each row's value in `values`, [rows].
        values: distinct Python values.
    """

    positions: Positions
    values: list[Any]

    def spread(self, of_values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A value for each row from one for each distinct value."""
        spread: npt.NDArray[Any] = of_values.take(self.positions)
        return spread

    def numbers(self) -> Numbers:
        """The column as numbers; None is null."""
        nulls = np.array([value is None for value in self.values], dtype=bool)
        numbers = np.array([0 if value is None else value for value in self.values], dtype=np.float64)
        return Numbers(self.spread(numbers), self.spread(nulls) if nulls.any() else None)


class Absent:
    """An optional column that the table does not have."""


ABSENT = Absent()

Column = Numbers | Coded | Absent
Columns = dict[str, Column]


class Findings:
    """What is found in the rows of a table while it is encoded.

    Attributes:
        unusual: bool [rows]: rows that the columnar rules do not cover. They are encoded again as records, which finds
            their errors and warnings.
        warnings: the warnings of the other rows, by row.
    """

    def __init__(self, size: int) -> None:
        self.unusual: Bools = np.zeros(size, dtype=bool)
        self.warnings: dict[int, list[dict[str, Any]]] = {}

    def add_warnings(self, column: Coded, warnings: list[list[dict[str, Any]]]) -> None:
        """Add the `warnings` of each distinct value to its rows."""
        warned = np.array([bool(found) for found in warnings], dtype=bool)
        if warned.any():
            rows = np.flatnonzero(column.spread(warned))
            for row, position in zip(rows.tolist(), column.positions[rows].tolist(), strict=True):
                self.warnings.setdefault(row, []).extend(warnings[position])

    def mark_values(self, column: Coded, places: list[int]) -> None:
        """Mark the rows of the distinct values at `places` as unusual."""
        if places:
            marked = np.zeros(len(column.values), dtype=bool)
            marked[places] = True
            self.unusual |= column.spread(marked)
