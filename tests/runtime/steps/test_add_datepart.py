from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_contract.date_parts import ELAPSED
from fastmar_runtime.columns import MISSING
from fastmar_runtime.report import Report
from fastmar_runtime.steps import load_step
from fastmar_runtime.steps.add_datepart import PARTS

ALL = [*PARTS, ELAPSED]
UNITS = {1: "ns", 10**3: "us", 10**6: "ms", 10**9: "s"}
IN_PANDAS = {part: part.lower() for part in PARTS if part != "Week"} | {
    "Dayofweek": "day_of_week",
    "Dayofyear": "day_of_year",
}


def expand(*values, parts=ALL, divisor=1, **sent):
    report = Report(len(values))
    step = load_step(
        {"step": "add_datepart", "date": "saledate", "prefix": "sale", "parts": list(parts), "elapsed_divisor": divisor}
    )
    absent = {"sale" + part: [MISSING] * len(values) for part in parts}
    return step({"saledate": list(values), **absent, **sent}, report), report


def parts_of_fastai(text, divisor):
    """The date parts as fastai computes them with pandas."""
    pandas = pytest.importorskip("pandas")
    field = pandas.Series([pandas.Timestamp(text)])
    out = {part: getattr(field.dt, name)[0] for part, name in IN_PANDAS.items()}
    out["Week"] = field.dt.isocalendar().week.iloc[0]
    out[ELAPSED] = field.astype(f"datetime64[{UNITS[divisor]}]").astype("int64")[0] // 10**9
    return out


NOTABLE = [
    "1900-01-01",
    "1969-12-31T23:59:59.500000",
    "1970-01-01",
    "1999-12-31",
    "2000-02-28",
    "2000-02-29",
    "2015-12-31",  # ISO week 53
    "2016-01-03",
    "2018-12-31",  # in ISO week 1 of the next year
    "2020-01-31T08:30:15",
    "2020-12-31",
    "2021-01-01",  # ISO week 53 of the year before
    "2023-02-28",
    "2024-02-28",
    "2024-02-29",
    "2024-03-31",
    "2024-04-01",
    "2024-06-30",
    "2024-09-30",
    "2024-10-01",
    "2026-11-21T23:59:59.999999",
    "2262-04-11",
]


def check(text, divisor):
    out, report = expand(text, divisor=divisor)
    assert not report.errors
    expected = parts_of_fastai(text, divisor)
    assert {part: out["sale" + part][0] for part in ALL} == expected
    for part in ALL:  # bool categories must not be ints
        assert isinstance(out["sale" + part][0], bool) == part.startswith("Is_")


@pytest.mark.parametrize("divisor", UNITS)
@pytest.mark.parametrize("text", NOTABLE)
def test_notable_dates(text, divisor):
    check(text, divisor)


@given(st.datetimes(datetime(1700, 1, 1), datetime(2260, 1, 1)), st.sampled_from(list(UNITS)))
def test_any_date(date, divisor):
    check(date.isoformat(), divisor)


def test_the_date_is_removed_and_other_columns_are_kept():
    out, _ = expand("2024-01-31", parts=["Year"], hours=[1])
    assert out == {"saleYear": [2024], "hours": [1]}


def test_parts_in_the_record_are_kept():
    out, report = expand("2024-01-31", "2024-01-31", parts=["Year", "Day"], saleYear=[1999, MISSING])
    assert (out["saleYear"], out["saleDay"]) == ([1999, 2024], [31, 31])
    assert not report.errors


def test_a_record_with_all_parts_needs_no_date():
    out, report = expand(MISSING, parts=["Year"], saleYear=[2024])
    assert out["saleYear"] == [2024]
    assert not report.errors


def test_neither_date_nor_parts():
    _, report = expand(MISSING, "2024-01-31", parts=["Year"])
    assert list(report.errors) == [0]
    assert (report.errors[0].code, report.errors[0].field) == ("missing_column", "saledate")
    assert "'saleYear'" in report.errors[0].message


def test_null_date():
    pandas = pytest.importorskip("pandas")
    out, report = expand(None)
    assert not report.errors
    nat = pandas.Series([pandas.NaT], dtype="datetime64[us]").dt
    for part, name in IN_PANDAS.items():
        theirs = getattr(nat, name)[0]
        assert out["sale" + part][0] is (None if pandas.isna(theirs) else False)
    assert (out["saleWeek"], out["saleElapsed"]) == ([None], [None])


@pytest.mark.parametrize("text", ["", "31.01.2024", "01/31/2024", "2024-02-30", "now", "2024-13-01", "\ud800"])
def test_unreadable_dates(text):
    out, report = expand("2024-01-31", text, parts=["Year"])
    assert out["saleYear"][0] == 2024
    assert list(report.errors) == [1]
    error = report.errors[1]
    assert (error.code, error.field) == ("not_a_date", "saledate")
    assert repr(text) in error.message
    assert "2024-01-31" in error.fix


@pytest.mark.parametrize(
    "text", ["2024-01-31T23:30:00+05:00", "2024-01-31T23:30:00Z", "2024-01-31 23:30", " 2024-01-31T23:30:00 "]
)
def test_dates_are_read_as_local_time(text):
    out, _ = expand(text)
    assert out == expand("2024-01-31T23:30:00")[0]


def test_an_ignored_offset_gets_a_warning():
    out, report = expand("2024-01-31T23:30:00+09:00", "2024-01-31T23:30:00Z", "2024-01-31T23:30:00", parts=["Day"])
    assert out["saleDay"] == [31, 31, 31]
    [[warning], utc, none] = report.warnings
    assert utc == none == []
    assert (warning["field"], warning["code"]) == ("saledate", "offset_ignored")
    assert warning["value"] == "2024-01-31T23:30:00+09:00"
    assert "'saledate'" in warning["message"]


def test_an_offset_of_an_unused_date_gets_no_warning():
    _, report = expand("2024-01-31T23:30:00+09:00", parts=["Day"], saleDay=[3])
    assert report.warnings == [[]]


def test_the_latest_date():
    assert expand("9999-12-31T23:59:59.999999", parts=[ELAPSED])[0]["saleElapsed"] == [253402300799]
