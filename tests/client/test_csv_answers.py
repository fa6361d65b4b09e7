"""Columns of an output table."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.runtime import tiny

from fastmar_client import CsvUnwritable
from fastmar_client.csv_answers import AnswerColumns
from fastmar_runtime.schema import describe

TABLE = ["id", "age"]
ROW = ["7", " 49"]
REFUSED = {"error": {"code": "c", "field": "age", "message": "'age' is wrong.", "fix": "correct it."}}


def columns(chosen: list[str] | None = None, table: list[str] = TABLE, **model: Any) -> AnswerColumns:
    return AnswerColumns(table, describe(tiny.spec(**model)), chosen)


def output_row(chosen: list[str] | None = None, **model: Any) -> dict[str, str]:
    """The output row of a record of the tiny model, by column."""
    predictor = tiny.predictor(**model)
    [answer] = predictor.predict([tiny.record(workclass="x")])
    found = columns(chosen, **model)
    return dict(zip(found.header, found.cells(ROW, answer), strict=True))


def test_default_columns() -> None:
    [answer] = tiny.predictor().predict([tiny.record(workclass="x")])
    line = output_row()
    assert list(line) == ["id", "age", "prediction", "probability", "warnings", "error"]
    assert (line["id"], line["age"], line["error"]) == ("7", " 49", "")
    assert line["prediction"] == answer["prediction"]
    assert float(line["probability"]) == max(answer["probabilities"].values())
    assert line["warnings"].startswith("workclass: ")
    assert "'x'" in line["warnings"]


def test_row_with_an_error() -> None:
    assert columns().cells(ROW, REFUSED) == ["7", " 49", "", "", "", "'age' is wrong. Fix: correct it."]


def test_chosen_columns_and_their_order() -> None:
    line = output_row(["error", "probabilities", "id", "index"])
    assert list(line) == ["error", "probability_<50k", "probability_>=50k", "id", "index"]
    assert sum(float(line[name]) for name in line if name.startswith("probability")) == pytest.approx(1)
    assert line["index"] in ("0", "1")
    assert columns(["prediction"]).cells(ROW, REFUSED) == [""]


def test_duplicate_names_get_a_prefix() -> None:
    table = ["prediction", "fastmar_error", "error", "age"]
    assert columns(None, table).header == [
        *table,
        "fastmar_prediction",
        "probability",
        "warnings",
        "fastmar_fastmar_error",
    ]
    assert columns(["error"], table).header == ["error"]


@pytest.mark.parametrize("name", ["nonsense", "Age", ""])
def test_refuses_an_unknown_column(name: str) -> None:
    with pytest.raises(CsvUnwritable) as caught:
        columns([name])
    assert caught.value.code == "unknown_column"
    assert repr(name) in caught.value.message
    assert "input, prediction, probability, probabilities, index, warnings, error" in caught.value.fix


def test_several_labels() -> None:
    line = output_row(decode=tiny.MULTI_DECODER)
    assert list(line)[2:] == ["prediction", "probability_cat", "probability_dog", "warnings", "error"]
    assert set(filter(None, line["prediction"].split(";"))) <= {"cat", "dog"}
    with pytest.raises(CsvUnwritable):
        columns(["probability"], decode=tiny.MULTI_DECODER)


def test_several_labels_in_one_cell() -> None:
    found = columns(["prediction"], decode=tiny.MULTI_DECODER)
    assert [found.cells(ROW, {"prediction": labels})[0] for labels in ([], ["a"], ["a", "b"])] == ["", "a", "a;b"]


def test_numbers() -> None:
    line = output_row(decode=tiny.ONE_NUMBER_DECODER)
    [answer] = tiny.predictor(decode=tiny.ONE_NUMBER_DECODER).predict([tiny.record(workclass="x")])
    assert list(line)[2:] == ["prediction", "warnings", "error"]
    assert float(line["prediction"]) == answer["prediction"]


def test_several_numbers_have_one_column_each() -> None:
    model = {"decode": tiny.TWO_NUMBERS_DECODER, "targets": ("price", "cost")}
    line = output_row(**model)
    assert list(line)[2:] == ["prediction_price", "prediction_cost", "warnings", "error"]
    assert all(float(line[name]) for name in ("prediction_price", "prediction_cost"))
    assert columns(**model).cells(ROW, REFUSED)[2:4] == ["", ""]


def test_top_k_probabilities_are_one_cell() -> None:
    labels = [f"label {number}" for number in range(200)]
    schema = {
        "answer": {
            "properties": {"prediction": {}, "index": {}, "probabilities": {"propertyNames": {"enum": labels}}},
        }
    }
    found = AnswerColumns(TABLE, schema, ["prediction", "probability", "probabilities"])
    top_k = {"label 7": 0.75, "label 9": 0.125}
    cells = found.cells(ROW, {"prediction": "label 7", "index": 7, "probabilities": top_k})
    assert (cells[:2], json.loads(cells[2])) == (["label 7", "0.75"], top_k)
