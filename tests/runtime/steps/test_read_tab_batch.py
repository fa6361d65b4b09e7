from __future__ import annotations

import numpy as np
import pytest

from fastmar_runtime.report import Report
from fastmar_runtime.steps import load_step


def arrays(cats=("a", "b"), conts=("x", "y"), **columns):
    size = len(next(iter(columns.values())))
    report = Report(size)
    step = load_step({"step": "read_tab_batch", "cats": list(cats), "conts": list(conts)})
    return step(columns, report), report


def test_inputs_in_the_order_of_the_network():
    inputs, report = arrays(("b", "a"), ("y", "x"), a=[1, 2, 3], b=[4, 5, 6], x=[0.5, 1, True], y=[-1, -2, -3])
    assert inputs["x_cat"].dtype == np.int64
    assert inputs["x_cont"].dtype == np.float32
    assert inputs["x_cat"].tolist() == [[4, 1], [5, 2], [6, 3]]
    assert inputs["x_cont"].tolist() == [[-1, 0.5], [-2, 1], [-3, 1]]
    assert not report.errors


@pytest.mark.parametrize(("cats", "conts", "names"), [((), ("x",), ["x_cont"]), (("a",), (), ["x_cat"])])
def test_an_empty_list_of_columns_gives_no_input(cats, conts, names):
    inputs, _ = arrays(cats, conts, a=[1], x=[1.0])
    assert list(inputs) == names


def test_values_are_rounded_once_from_float64():
    value = 0.1 + 2**-30
    assert arrays((), ("x",), x=[value])[0]["x_cont"][0, 0] == np.float32(value)


def test_a_null_that_was_not_filled():
    _, report = arrays(a=[1, 1], b=[1, 1], x=[1.0, 1.0], y=[1.0, None])
    assert list(report.errors) == [1]
    error = report.errors[1]
    assert (error.code, error.field) == ("null_not_filled", "y")


@pytest.mark.parametrize("value", [1e39, -1e300])
def test_overflow(value):
    _, report = arrays(a=[1, 1], b=[1, 1], x=[value, 1.0], y=[1.0, 1.0])
    assert list(report.errors) == [0]
    assert (report.errors[0].code, report.errors[0].field) == ("out_of_range", "x")


def test_the_first_error_of_a_record_is_kept():
    _, report = arrays(a=[1], b=[1], x=[None], y=[1e300])
    assert report.errors[0].field == "x"
