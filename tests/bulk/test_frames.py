"""`Model.score`: DataFrames and Arrow tables in, the same kind out."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import fastmar
from fastmar_bulk import scorer
from fastmar_contract.errors import RecordError, TableUnreadable
from tests.archives import tiny_archive
from tests.runtime import tiny

RECORDS = [
    tiny.record(age=30 + row % 40, workclass=[" Private", "Private", "NA", "never", None][row % 5]) for row in range(50)
]
RECORDS[7]["age"] = None
RECORDS[9]["hours"] = None


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_archive(tmp_path_factory.mktemp("store"), "1.2")


@pytest.fixture(scope="module")
def model(archive: Path) -> fastmar.Model:
    return fastmar.load(archive)


def frames() -> dict[str, Any]:
    return {
        "pandas": pd.DataFrame(RECORDS, index=range(100, 150)),
        "pandas of objects": pd.DataFrame(RECORDS, dtype=object),
        "pandas of categories": pd.DataFrame(RECORDS).astype({"workclass": "category"}),
        "polars": pl.DataFrame(RECORDS),
        "polars of categories": pl.DataFrame(RECORDS).with_columns(pl.col("workclass").cast(pl.Categorical)),
        "arrow": pa.Table.from_pylist(RECORDS),
        "arrow in chunks": pa.Table.from_batches(pa.Table.from_pylist(RECORDS).to_batches(7)),
    }


def column(frame: Any, name: str) -> list[Any]:
    """A column as Python values, with None for null."""
    values = frame[name].to_pylist() if isinstance(frame, pa.Table) else list(frame[name])
    return [None if pd.isna(value) else value for value in values]


@pytest.mark.parametrize("kind", frames())
def test_answers_are_those_of_predict(model: fastmar.Model, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer, "ROWS_A_CHUNK", 16)
    frame = frames()[kind]
    scored = model.score(frame, keep=["age"], columns=["prediction", "probabilities", "error_code", "error_field"])
    assert type(scored) is type(frame)
    expected = model.predict(RECORDS)
    assert column(scored, "prediction") == [answer.get("prediction") for answer in expected]
    for label in ("<50k", ">=50k"):
        found = [answer.get("probabilities", {}).get(label) for answer in expected]
        assert [None if x is None else float(x) for x in column(scored, f"probability_{label}")] == found
    assert column(scored, "error_code") == [answer.get("error", {}).get("code") for answer in expected]
    assert column(scored, "error_field")[9] == "hours"
    assert column(scored, "age") == [record["age"] for record in RECORDS]
    if isinstance(frame, pd.DataFrame):
        assert scored.index.equals(frame.index)


def test_columns(model: fastmar.Model) -> None:
    frame = pd.DataFrame(RECORDS).assign(prediction=1, more="x")
    scored = model.score(frame)
    assert [*scored] == [*frame, "fastmar_prediction", "probability", "warnings", "error"]
    assert "white space" in scored["warnings"][1]
    assert [*model.score(pl.DataFrame(RECORDS), keep=(), columns=["prediction"]).columns] == ["prediction"]
    assert [*model.score(frame, keep="more", columns=["index"])] == ["more", "index"]


def test_a_column_of_several_types_is_read_as_records_are(model: fastmar.Model) -> None:
    ages = [40, "41", 42.5, Decimal("43"), np.float32(44), True, None, float("nan"), pd.NA, "old", [1], dt.date.today()]
    records = [tiny.record(age=age) for age in ages]
    scored = model.score(pd.DataFrame(records), columns=["prediction", "error_code"])
    expected = model.predict(records)
    assert column(scored, "prediction") == [answer.get("prediction") for answer in expected]
    assert column(scored, "error_code") == [answer.get("error", {}).get("code") for answer in expected]


def test_an_empty_table(model: fastmar.Model) -> None:
    for frame in (pd.DataFrame(RECORDS)[:0], pl.DataFrame(RECORDS)[:0], pa.Table.from_pylist(RECORDS)[:0]):
        assert len(model.score(frame)) == 0


@pytest.mark.parametrize(
    ("frame", "options", "code"),
    [
        (pd.DataFrame(RECORDS).rename(columns={"age": "agee"}), {}, "missing_column"),
        (pd.DataFrame(RECORDS), {"keep": ["none"]}, "unknown_column"),
        (pd.DataFrame(RECORDS), {"columns": ["none"]}, "unknown_column"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), {}, "table_unreadable"),
        (pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])), {}, "table_unreadable"),
    ],
)
def test_refusals(model: fastmar.Model, frame: Any, options: dict[str, Any], code: str) -> None:
    with pytest.raises(TableUnreadable) as refused:
        model.score(frame, **options)
    assert refused.value.code == code


def test_other_objects_are_refused(model: fastmar.Model) -> None:
    with pytest.raises(TypeError, match="Fix: "):
        model.score([tiny.record()])


def test_the_first_error_of_a_row_can_end_it(model: fastmar.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer, "ROWS_A_CHUNK", 4)
    with pytest.raises(RecordError) as refused:
        model.score(pd.DataFrame(RECORDS), errors="fail", workers=2)
    assert (refused.value.code, refused.value.field) == ("null_not_filled", "hours")
    assert "row 10:" in refused.value.message
    assert len(model.score(pd.DataFrame(RECORDS[:7]), errors="fail")) == 7
    with pytest.raises(ValueError, match="Fix: "):
        model.score(pd.DataFrame(RECORDS), errors="separate")
