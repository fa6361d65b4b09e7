from __future__ import annotations

from fastmar_runtime.report import Report
from fastmar_runtime.steps import load_step


def fill(add_col, **columns):
    step = load_step({"step": "fill_missing", "fills": {"age": 40.0}, "add_col": add_col})
    return step(columns, Report(len(columns["age"])))


def test_nulls_are_filled_and_flagged():
    assert fill(True, age=[1, None, 0], hours=[None, 2, 3]) == {
        "age": [1, 40.0, 0],
        "age_na": [False, True, False],
        "hours": [None, 2, 3],
    }


def test_without_flags():
    assert fill(False, age=[None]) == {"age": [40.0]}


def test_a_flag_in_the_record_is_overwritten_as_in_fastai():
    assert fill(True, age=[None, 1], age_na=[False, True])["age_na"] == [True, False]


def test_the_input_batch_is_not_changed():
    age = [None]
    columns = {"age": age}
    fill(True, **columns)
    assert age == [None]
    assert list(columns) == ["age"]
