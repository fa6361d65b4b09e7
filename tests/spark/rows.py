"""Rows of the tiny model, for comparisons with one process."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa

from tests.runtime import tiny

ROWS = 5_000
ERRORS = 5


def table() -> pa.Table:
    """Rows with known and unknown categories, nulls, and errors, and a column that the model does not read."""
    rows = [
        tiny.record(
            id=row,
            workclass=(" Private", "Private", "never seen", None)[row % 4],
            age=None if row % 7 == 0 else 17 + row % 60,
            hours=None if row % (ROWS // ERRORS) == 0 else row / 100,
            unread=dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        )
        for row in range(ROWS)
    ]
    return pa.Table.from_pylist(rows)


def collected(scored: Any) -> pa.Table:
    """The rows of a DataFrame in the order of their ids."""
    return scored.toArrow().sort_by("id")


def assert_equal(found: pa.Table, expected: pa.Table) -> None:
    """Compare values bit for bit; a text can be in a dictionary."""
    assert found.column_names == expected.column_names
    for name in found.column_names:
        assert found[name].to_pylist() == expected[name].to_pylist(), name
