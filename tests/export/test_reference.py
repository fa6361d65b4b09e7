"""Defaults and ranges of fields from a reference table."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastmar_contract.values import NUMBER
from fastmar_export.reference import refine
from fastmar_runtime.spec import Field
from tests.runtime import tiny


@pytest.mark.parametrize("cell", ["inf", "-inf", "NAN", "1e39", "1e400", "", "many", "NaN"])
def test_cell_without_a_valid_number_is_ignored(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"x,y\n1,0\n{cell},0\n3,0\n")
    (x,) = refine(tiny.spec(fields=(Field("x", NUMBER),)), path)
    assert (x.default, x.minimum, x.maximum) == (2, 1, 3)


def test_column_without_numbers_does_not_change_its_field(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("x\ninf\nNAN\n")
    field = Field("x", NUMBER, default=5.0)
    assert refine(tiny.spec(fields=(field,)), path) == (field,)
