from __future__ import annotations

import math

import numpy as np
import pytest

from fastmar_contract.errors import RecordError
from fastmar_contract.values import CATEGORY, DATE, FLOAT32_MAX, NUMBER, check_category, check_date, check_number
from fastmar_runtime.columns import MISSING, gather
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Field
from tests.runtime import tiny

AGE, HOURS = tiny.FIELDS[3], tiny.FIELDS[4]
DATED = (
    Field("saledate", DATE, nullable=False, optional=True, aliases=("saleDate", "sale")),
    Field("birthdate", DATE, optional=True, aliases=("birthDate", "birth")),
    *(Field(name, NUMBER, optional=True) for name in ("saleYear", "saleDay", "birthYear")),
    HOURS,
)


def gather_rows(*records, fields=tiny.FIELDS):
    report = Report(len(records))
    return gather(records, fields, report), report


def refusal(value, check=check_number, field=AGE):
    with pytest.raises(RecordError) as caught:
        check(value, field)
    return caught.value


class TestGather:
    def test_columns(self):
        columns, report = gather_rows(tiny.record(), tiny.record(age=None, workclass=None))
        assert columns == {
            "workclass": [" Private", None],
            "grade": [7, 7],
            "vip": [True, True],
            "age": [49, None],
            "hours": [40.5, 40.5],
        }
        assert report.warnings == [[], []]
        assert not report.errors

    def test_a_record_may_have_any_order(self):
        backwards = dict(reversed(tiny.record().items()))
        assert gather_rows(backwards)[0] == gather_rows(tiny.record())[0]

    def test_extra_columns_get_warnings(self):
        columns, report = gather_rows(tiny.record(extra=[1], salary=">=50k"))
        assert columns == gather_rows(tiny.record())[0]
        assert [(w["field"], w["code"]) for w in report.warnings[0]] == [
            ("extra", "extra_column"),
            ("salary", "extra_column"),
        ]

    def test_targets_are_ignored_without_a_warning(self):
        predictor = tiny.predictor()
        _, report = predictor.preprocess([tiny.record(extra=1, **dict.fromkeys(predictor.spec.targets, ">=50k"))])
        assert [w["field"] for w in report.warnings[0]] == ["extra"]

    @pytest.mark.parametrize("name", ["workclass", "age", "hours"])
    def test_a_missing_column(self, name):
        _, report = gather_rows(tiny.record(**{name: ...}))
        error = report.errors[0]
        assert (error.code, error.field) == ("missing_column", name)
        assert repr(name) in error.message
        assert ("or null" in error.fix) == (name != "hours")

    def test_a_misspelled_column(self):
        _, report = gather_rows(tiny.record(age=...) | {" Age": 3})
        assert "' Age'" in report.errors[0].fix

    @pytest.mark.parametrize("bad", [None, 1, "text", [1], [], True, [tiny.record()]])
    def test_records_that_are_not_objects(self, bad):
        columns, report = gather_rows(tiny.record(), bad, tiny.record())
        assert list(report.errors) == [1]
        assert report.errors[1].code == "not_an_object"
        assert columns["age"] == [49, None, 49]

    def test_an_error_of_the_body_parser_is_kept(self):
        error = RecordError("ragged_row", "m", fix="f")
        assert gather_rows(tiny.record(), error)[1].errors == {1: error}

    def test_an_invalid_record_does_not_affect_others(self):
        columns, report = gather_rows(tiny.record(), tiny.record(age="x"), tiny.record(hours=...), tiny.record(age=1))
        assert sorted(report.errors) == [1, 2]
        assert columns["age"] == [49, None, 49, 1]

    def test_no_records(self):
        assert gather_rows()[0] == {f.name: [] for f in tiny.FIELDS}

    def test_column_names_that_are_not_strings(self):
        _, report = gather_rows(tiny.record() | {1: 2})
        assert report.warnings[0][0]["field"] == "1"

    def test_optional_columns_and_aliases(self):
        fields = (Field("saledate", DATE, optional=True, aliases=("saleDate", "sale")), HOURS)
        columns, report = gather_rows(
            {"hours": 1},
            {"hours": 1, "saleDate": "2024-01-31"},
            {"hours": 1, "sale": "2024-02-01"},
            {"hours": 1, "saledate": "2024-03-01", "sale": "x"},
            {"hours": 1, "saledate": None},
            fields=fields,
        )
        assert columns["saledate"] == [MISSING, "2024-01-31", "2024-02-01", "2024-03-01", None]
        assert report.warnings == [[]] * 5
        assert not report.errors

    @pytest.mark.parametrize("value", [3.5, 1, True, ["2024-01-31"], None, "winter"])
    @pytest.mark.parametrize("date", [{}, {"saledate": "2024-01-31"}])
    def test_an_alias_is_an_extra_column_if_all_parts_are_sent(self, value, date):
        record = {"hours": 1, "saleYear": 2024, "saleDay": 3, "sale": value, "birthDate": "2000-02-03"} | date
        columns, report = gather_rows(record, fields=DATED)
        assert columns["saledate"] == [date.get("saledate", MISSING)]
        assert columns["birthdate"] == ["2000-02-03"]
        assert not report.errors
        assert [(w["field"], w["code"]) for w in report.warnings[0]] == [("sale", "extra_column")]

    def test_an_alias_is_the_date_if_a_part_is_missing(self):
        columns, report = gather_rows(
            {"hours": 1, "saleYear": 1, "sale": "2024-01-31", "birthDate": None}, fields=DATED
        )
        assert columns["saledate"] == ["2024-01-31"]
        assert report.warnings == [[]]
        _, report = gather_rows({"hours": 1, "saleYear": 1, "sale": 3}, fields=DATED)
        assert report.errors[0].code == "not_a_date"


class TestNumbers:
    def test_the_fix_names_the_decimal_comma(self):
        for text in ("142329,0", "1.234,5", "-1 234,5", "12'000", "1,234.5"):
            assert "1234.5" in refusal(text).fix, text
        for text in ("old", "1 euro", "12-3", ",", "1_000"):
            assert "1234.5" not in refusal(text).fix, text

    @pytest.mark.parametrize("value", [0, -1, 1.5, FLOAT32_MAX, -FLOAT32_MAX, 10**30])
    def test_numbers_are_not_changed(self, value):
        assert check_number(value, AGE) is value

    @pytest.mark.parametrize("value", [None, math.nan])
    def test_null(self, value):
        assert check_number(value, AGE) is None

    def test_bools_are_numbers_as_in_fastai(self):
        assert check_number(True, AGE) == 1
        assert type(check_number(True, AGE)) is int

    @pytest.mark.parametrize(
        "value", [math.inf, -math.inf, 3.5e38, 10**39, -(10**400), pytest.param(10**5000, id="huge")]
    )
    def test_out_of_range(self, value):
        error = refusal(value)
        assert (error.code, error.field) == ("out_of_range", "age")
        assert len(error.message) < 250

    @pytest.mark.parametrize(
        ("text", "number"), [("49", 49), (" 4.5 ", 4.5), ("1e3", 1000), ("True", 1), ("", None), ("NA", None)]
    )
    def test_a_number_as_text_is_parsed_with_a_warning(self, text, number):
        assert check_number(text, AGE) == number
        columns, report = gather_rows(tiny.record(age=text))
        assert columns["age"] == [number]
        assert [(w["field"], w["code"], w["value"]) for w in report.warnings[0]] == [("age", "number_as_text", text)]

    def test_a_null_as_text_that_is_not_filled(self):
        assert refusal("", field=HOURS).code == refusal(None, field=HOURS).code == "null_not_filled"

    def test_text_that_overflows(self):
        assert refusal("inf").code == refusal("1e39").code == "out_of_range"

    @pytest.mark.parametrize("value", ["abc", "1_0", [1], {}, {"a": 1}])
    def test_values_that_are_not_numbers(self, value):
        error = refusal(value)
        assert (error.code, error.field) == ("not_a_number", "age")
        assert repr(value) in error.message


class TestCategories:
    @pytest.mark.parametrize("value", ["a", "", 3, 1.5, True, False, 10**30, math.inf])
    def test_values(self, value):
        assert check_category(value, tiny.FIELDS[0]) is value

    @pytest.mark.parametrize("value", [None, math.nan])
    def test_null(self, value):
        assert check_category(value, tiny.FIELDS[0]) is None

    @pytest.mark.parametrize("value", [["a"], [], {"a": 1}])
    def test_nested(self, value):
        error = refusal(value, check_category, tiny.FIELDS[0])
        assert (error.code, error.field) == ("not_a_value", "workclass")


class TestDates:
    def test_values(self):
        field = Field("d", DATE)
        assert check_date("2024-01-31", field) == "2024-01-31"
        assert check_date(None, field) is None

    @pytest.mark.parametrize("value", [20240131, 1.5, True, ["2024-01-31"], {}])
    def test_others(self, value):
        assert refusal(value, check_date, Field("d", DATE)).code == "not_a_date"


def test_categories_are_checked_by_kind():
    assert {NUMBER, CATEGORY, DATE} == {f.kind for f in (*tiny.FIELDS, *tiny.date_spec().fields)}


def test_warnings_for_many_columns_and_long_values_are_limited():
    _, report = gather_rows(tiny.record(**{f"extra{i}": 1 for i in range(5000)}))
    assert len(report.warnings[0]) == 21
    assert "4980" in report.warnings[0][-1]["message"]
    report.warn(0, field="x" * 10**6, code="c", value="y" * 10**6, message="m")
    assert len(report.warnings[0][-1]["value"]) < 2000


def test_numpy_scalars_are_numbers_and_categories():
    columns, report = gather_rows(tiny.record(age=np.int64(7)))
    assert not report.errors
    assert columns["age"] == [7]


def test_only_the_record_with_an_array_is_refused():
    report = Report(2)
    columns = gather([{"age": np.array([1, 2])}, {"age": np.float64(3)}], [Field("age", NUMBER)], report)
    assert (columns["age"], report.errors[0].code) == ([None, 3.0], "not_a_number")
