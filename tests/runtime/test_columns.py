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


def gathered(*records, fields=tiny.FIELDS):
    report = Report(len(records))
    return gather(records, fields, report), report


def refused(value, check=check_number, field=AGE):
    with pytest.raises(RecordError) as caught:
        check(value, field)
    return caught.value


class TestGather:
    def test_columns(self):
        columns, report = gathered(tiny.record(), tiny.record(age=None, workclass=None))
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
        assert gathered(backwards)[0] == gathered(tiny.record())[0]

    def test_extra_columns_warn_and_change_nothing(self):
        columns, report = gathered(tiny.record(extra=[1], salary=">=50k"))
        assert columns == gathered(tiny.record())[0]
        assert [(w["field"], w["code"]) for w in report.warnings[0]] == [
            ("extra", "extra_column"),
            ("salary", "extra_column"),
        ]

    @pytest.mark.parametrize("name", ["workclass", "age", "hours"])
    def test_a_missing_column(self, name):
        _, report = gathered(tiny.record(**{name: ...}))
        error = report.errors[0]
        assert (error.code, error.field) == ("missing_column", name)
        assert error.message == f"the record has no {name!r}."
        assert ("or null" in error.fix) == (name != "hours")

    def test_a_column_of_nearly_that_name(self):
        _, report = gathered(tiny.record(age=...) | {" Age": 3})
        assert report.errors[0].fix == "rename ' Age' to 'age'."

    @pytest.mark.parametrize("bad", [None, 1, "text", [1], [], True, [tiny.record()]])
    def test_what_is_no_object(self, bad):
        columns, report = gathered(tiny.record(), bad, tiny.record())
        assert list(report.errors) == [1]
        assert report.errors[1].code == "not_an_object"
        assert columns["age"] == [49, None, 49]

    def test_an_error_of_the_payload_stands(self):
        error = RecordError("ragged_row", "m", fix="f")
        assert gathered(tiny.record(), error)[1].errors == {1: error}

    def test_a_bad_record_leaves_its_neighbours(self):
        columns, report = gathered(tiny.record(), tiny.record(age="x"), tiny.record(hours=...), tiny.record(age=1))
        assert sorted(report.errors) == [1, 2]
        assert columns["age"] == [49, None, 49, 1]

    def test_no_records(self):
        assert gathered()[0] == {f.name: [] for f in tiny.FIELDS}

    def test_names_that_are_no_strings(self):
        _, report = gathered(tiny.record() | {1: 2})
        assert report.warnings[0][0]["field"] == "1"

    def test_optional_columns_and_aliases(self):
        fields = (Field("saledate", DATE, optional=True, aliases=("saleDate", "sale")), HOURS)
        columns, report = gathered(
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
    def test_where_all_parts_are_sent_a_column_of_an_aliass_name_is_another_one(self, value, date):
        record = {"hours": 1, "saleYear": 2024, "saleDay": 3, "sale": value, "birthDate": "2000-02-03"} | date
        columns, report = gathered(record, fields=DATED)
        assert columns["saledate"] == [date.get("saledate", MISSING)]
        assert columns["birthdate"] == ["2000-02-03"]
        assert not report.errors
        assert [(w["field"], w["code"]) for w in report.warnings[0]] == [("sale", "extra_column")]

    def test_where_a_part_is_missing_an_alias_is_the_date(self):
        columns, report = gathered({"hours": 1, "saleYear": 1, "sale": "2024-01-31", "birthDate": None}, fields=DATED)
        assert columns["saledate"] == ["2024-01-31"]
        assert report.warnings == [[]]
        _, report = gathered({"hours": 1, "saleYear": 1, "sale": 3}, fields=DATED)
        assert report.errors[0].code == "not_a_date"


class TestNumbers:
    @pytest.mark.parametrize("value", [0, -1, 1.5, FLOAT32_MAX, -FLOAT32_MAX, 10**30])
    def test_numbers_stay_as_they_are(self, value):
        assert check_number(value, AGE) is value

    @pytest.mark.parametrize("value", [None, math.nan])
    def test_null(self, value):
        assert check_number(value, AGE) is None

    def test_bools_are_numbers_to_fastai(self):
        assert check_number(True, AGE) == 1
        assert type(check_number(True, AGE)) is int

    @pytest.mark.parametrize(
        "value", [math.inf, -math.inf, 3.5e38, 10**39, -(10**400), pytest.param(10**5000, id="huge")]
    )
    def test_out_of_range(self, value):
        error = refused(value)
        assert (error.code, error.field) == ("out_of_range", "age")
        assert len(error.message) < 250

    @pytest.mark.parametrize(
        ("text", "number"), [("49", 49), (" 4.5 ", 4.5), ("1e3", 1000), ("True", 1), ("", None), ("NA", None)]
    )
    def test_a_number_as_text_is_read_as_in_a_csv_with_a_warning(self, text, number):
        assert check_number(text, AGE) == number
        columns, report = gathered(tiny.record(age=text))
        assert columns["age"] == [number]
        assert [(w["field"], w["code"], w["value"]) for w in report.warnings[0]] == [("age", "number_as_text", text)]

    def test_a_null_as_text_where_nothing_fills_it(self):
        assert refused("", field=HOURS).code == refused(None, field=HOURS).code == "null_not_filled"

    def test_text_that_overflows(self):
        assert refused("inf").code == refused("1e39").code == "out_of_range"

    @pytest.mark.parametrize("value", ["abc", "1_0", [1], {}, {"a": 1}])
    def test_what_is_no_number(self, value):
        error = refused(value)
        assert (error.code, error.field) == ("not_a_number", "age")
        assert repr(value) in error.message
        assert "quotation" not in error.fix, "taking them off would not help"


class TestCategories:
    @pytest.mark.parametrize("value", ["a", "", 3, 1.5, True, False, 10**30, math.inf])
    def test_values(self, value):
        assert check_category(value, tiny.FIELDS[0]) is value

    @pytest.mark.parametrize("value", [None, math.nan])
    def test_null(self, value):
        assert check_category(value, tiny.FIELDS[0]) is None

    @pytest.mark.parametrize("value", [["a"], [], {"a": 1}])
    def test_nested(self, value):
        error = refused(value, check_category, tiny.FIELDS[0])
        assert (error.code, error.field) == ("not_a_value", "workclass")


class TestDates:
    def test_values(self):
        field = Field("d", DATE)
        assert check_date("2024-01-31", field) == "2024-01-31"
        assert check_date(None, field) is None

    @pytest.mark.parametrize("value", [20240131, 1.5, True, ["2024-01-31"], {}])
    def test_others(self, value):
        assert refused(value, check_date, Field("d", DATE)).code == "not_a_date"


def test_categories_are_checked_by_kind():
    assert {NUMBER, CATEGORY, DATE} == {f.kind for f in (*tiny.FIELDS, *tiny.date_spec().fields)}


def test_many_extra_columns_and_long_values_do_not_blow_an_answer_up():
    _, report = gathered(tiny.record(**{f"extra{i}": 1 for i in range(5000)}))
    assert len(report.warnings[0]) == 21
    assert "4980 more" in report.warnings[0][-1]["message"]
    report.warn(0, field="x" * 10**6, code="c", value="y" * 10**6, message="m")
    assert len(report.warnings[0][-1]["value"]) < 2000


def test_numpy_scalars_are_numbers_and_categories():
    columns, report = gathered(tiny.record(age=np.int64(7)))
    assert not report.errors
    assert columns["age"] == [7]


def test_an_array_in_a_record_is_refused_alone():
    report = Report(2)
    columns = gather([{"age": np.array([1, 2])}, {"age": np.float64(3)}], [Field("age", NUMBER)], report)
    assert (columns["age"], report.errors[0].code) == ([None, 3.0], "not_a_number")
