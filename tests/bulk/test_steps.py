"""Single rules of the columnar path, where the answers of a model would hide a difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_bulk import steps
from fastmar_bulk.columns import Coded, Findings, Numbers
from fastmar_bulk.gathering import TableGatherer
from fastmar_bulk.scorer import TableScorer
from fastmar_bulk.tables import Table
from fastmar_contract.values import NUMBER
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Field
from fastmar_runtime.steps.fill_missing import FillMissing
from fastmar_runtime.steps.normalize import Normalize
from tests.bulk.records import assert_equal_to_records
from tests.runtime import tiny

VALUES = st.lists(st.none() | st.floats(-1e6, 1e6) | st.integers(-(2**53), 2**53), min_size=1)


def numbers_of(values: list[Any]) -> Numbers:
    nulls = np.array([value is None for value in values])
    return Numbers(np.array([value or 0 for value in values], dtype=np.float64), nulls if nulls.any() else None)


def values_of(column: Any) -> list[Any]:
    nulls = np.zeros(len(column.values), dtype=bool) if column.nulls is None else column.nulls
    return [None if null else value for value, null in zip(column.values.tolist(), nulls.tolist(), strict=True)]


@given(values=VALUES, mean=st.floats(-1e3, 1e3), std=st.floats(1e-3, 1e3))
def test_normalize_is_the_same_in_float64(values: list[Any], mean: float, std: float) -> None:
    step = Normalize({"x": mean}, {"x": std})
    columns: Any = {"x": numbers_of(values)}
    steps.normalize(step, columns, Findings(len(values)))
    assert values_of(columns["x"]) == step({"x": values}, Report(len(values)))["x"]


@given(values=VALUES, fill=st.floats(-1e3, 1e3), add_col=st.booleans())
def test_fill_missing(values: list[Any], fill: float, add_col: bool) -> None:
    step = FillMissing({"x": fill}, add_col)
    columns: Any = {"x": numbers_of(values)}
    steps.fill_missing(step, columns, Findings(len(values)))
    expected = step({"x": values}, Report(len(values)))
    assert values_of(columns["x"]) == expected["x"]
    assert columns.keys() == expected.keys()
    if add_col:
        flags = columns["x_na"]
        assert [flags.values[position] for position in flags.positions] == expected["x_na"]


def unusual(array: pa.Array, **changes: Any) -> list[bool]:
    """The unusual rows of a column of numbers; usual ones are from -2**53 to 2**53."""
    normalize = {"step": "normalize", "means": {"x": 0.0}, "stds": {"x": 2.0**53 / 20}}
    spec = tiny.spec(fields=(Field("x", NUMBER, **changes),), steps=(normalize,))
    findings = Findings(len(array))
    TableGatherer(spec)(Table({"x": array}, len(array)), findings)
    rows: list[bool] = findings.unusual.tolist()
    return rows


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64()])
def test_integers_that_float64_rounds_to_a_limit_are_beyond_it(kind: pa.DataType) -> None:
    assert unusual(pa.array([2**53 - 1, 2**53 + 1, 2**53 + 2], kind)) == [False, True, True]


@pytest.mark.parametrize("array", [pa.array([1.0, None]), pa.array([1.0, float("nan")])])
def test_nulls_are_unusual_if_the_column_had_none_in_training(array: pa.Array) -> None:
    assert unusual(array, nullable=False) == [False, True]
    assert unusual(array, nullable=True) == [False, False]


def test_unused_values_of_a_dictionary_are_not_looked_up() -> None:
    field = tiny.FIELDS[0]
    spec = tiny.spec(fields=(field,), steps=())
    array = pa.DictionaryArray.from_arrays(pa.array([2, None, 2]), pa.array(["a", "b", "c"]))
    found = TableGatherer(spec)(Table({field.name: array}, 3), Findings(3))[field.name]
    assert isinstance(found, Coded)
    assert (found.values, found.positions.tolist()) == (["c", None], [0, 1, 0])


def test_outputs_that_are_not_finite_are_refused() -> None:
    model = Predictor(tiny.spec(), tiny.graph(tiny.WEIGHTS * np.float32(1e38)))
    records = [tiny.record(hours=hours) for hours in (38, 1e3, 38.5, -1e3)]
    table = Table({name: [record[name] for record in records] for name in records[0]}, len(records))
    assert "not_finite" in {error.code for error in TableScorer(model)(table).errors.values()}
    assert_equal_to_records(model, table)
