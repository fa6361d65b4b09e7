"""Errors with all faults of a record, suggestions for misspellings, numbers far from training, many invalid records."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmar_contract.faults import list_names
from fastmar_contract.similar import SimilarNames
from fastmar_contract.values import NUMBER
from fastmar_runtime import payload, protocol_v2
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.ranges import expected_ranges
from fastmar_runtime.refusals import EXPLAINED_ERRORS, number_errors
from fastmar_runtime.spec import Field
from tests.runtime import tiny


def error_of(predictor: Predictor, record: Any) -> Any:
    return predictor.predict([record])[0]["error"]


def test_all_rows_of_a_table_have_the_suggestion(predictor: Predictor) -> None:
    rows = 3 * EXPLAINED_ERRORS
    row = tiny.record(workclass=...)
    answers = predictor.predict([row | {"work-class": 1}] * rows + [row])
    fixes = [answer["error"]["fix"] for answer in answers]
    assert fixes[:-1] == fixes[:1] * rows
    assert "'work-class'" in fixes[0]
    assert "'work-class'" not in fixes[-1], "the record has no such column"


class TestAllFaults:
    def test_all_missing_columns(self, predictor: Predictor) -> None:
        error = error_of(predictor, {"age": 49})
        assert (error["code"], error["field"]) == ("missing_column", "workclass")
        assert "'workclass', 'grade', 'vip' and 'hours'" in error["message"]
        assert [(e["code"], e["field"]) for e in error["errors"]] == [
            ("missing_column", name) for name in ("workclass", "grade", "vip", "hours")
        ]
        assert "'workclass', 'grade' and 'vip'" in error["fix"]

    def test_missing_columns_and_wrong_values(self, predictor: Predictor) -> None:
        error = error_of(predictor, tiny.record(workclass=["x"], age="old", hours=None, vip=...))
        assert [e["code"] for e in error["errors"]] == [
            "not_a_value",
            "missing_column",
            "not_a_number",
            "null_not_filled",
        ]
        assert "'old'" in error["message"]
        assert "'vip'" in error["message"]
        assert protocol_v2.refuse(error)["error"].startswith("record 0: 'workclass' ")

    def test_one_fault_has_no_list_of_errors(self, predictor: Predictor) -> None:
        assert error_of(predictor, tiny.record(age="old")).keys() == {"code", "field", "record", "message", "fix"}

    def test_a_missing_date_and_other_faults(self) -> None:
        spec = tiny.date_spec()
        spec = tiny.spec(
            steps=spec.steps, fields=(*spec.fields, tiny.FIELDS[4]), inputs=spec.inputs, decode=spec.decode
        )
        error = error_of(Predictor(spec, tiny.date_graph()), {})
        assert [(e["code"], e["field"]) for e in error["errors"]] == [
            ("missing_column", "hours"),
            ("missing_column", "saledate"),
        ]

    def test_at_most_twenty_columns_are_named(self) -> None:
        assert list_names(range(23)).endswith("19 and 3 more")
        assert list_names("a") == "'a'"


class TestSuggestions:
    @pytest.mark.parametrize("near", ["Age", " age ", "AGE"])
    def test_columns(self, predictor: Predictor, near: str) -> None:
        fix = error_of(predictor, tiny.record(age=...) | {near: 3})["fix"]
        assert repr(near) in fix
        assert "'age'" in fix

    @pytest.mark.parametrize("sent", ["private", "PRIVATE", "Privat", "Prviate"])
    def test_categories(self, predictor: Predictor, sent: str) -> None:
        [warning] = predictor.predict([tiny.record(workclass=sent)])[0]["warnings"]
        assert warning["code"] == "unknown_category"
        assert "' Private'" in warning["message"]

    @pytest.mark.parametrize("sent", ["", "?", "zebra", "x" * 10**6, "\u0130" * 50])
    def test_no_similar_name(self, sent: str) -> None:
        assert SimilarNames(["Private", "State-gov"]).closest(sent) is None

    def test_names_with_different_digits_are_not_similar(self) -> None:
        assert SimilarNames(["A12345", "02134"]).closest("A12346") is None

    @given(st.text(max_size=30), st.lists(st.text(max_size=30), max_size=20))
    def test_any_text(self, text: str, names: list[str]) -> None:
        assert SimilarNames(names).closest(text) in (None, *names)

    def test_search_in_a_large_vocabulary_is_fast(self) -> None:
        names = SimilarNames(
            [f"aaaaaaaa{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676)}" for i in range(10_000)]
        )
        names.closest("a")
        began = time.process_time()
        for _ in range(50):
            names.closest("aabaacaazzz")
        assert time.process_time() - began < 5


class TestFarFromTraining:
    def codes(self, predictor: Predictor, **changes: Any) -> list[str]:
        return [w["code"] for w in predictor.predict([tiny.record(**changes)])[0]["warnings"]]

    def test_a_number_far_outside(self, predictor: Predictor) -> None:
        [warning] = predictor.predict([tiny.record(age=999)])[0]["warnings"]
        assert (warning["field"], warning["code"], warning["value"]) == ("age", "far_from_training", 999)
        assert "40 ± 10" in warning["message"]

    @pytest.mark.parametrize("age", [-100, 0, 240, None, True])
    def test_numbers_within_the_range(self, predictor: Predictor, age: Any) -> None:
        assert self.codes(predictor, age=age) == []

    def test_a_number_as_text(self, predictor: Predictor) -> None:
        assert self.codes(predictor, age="999") == ["number_as_text", "far_from_training"]

    def test_the_range_includes_the_reference_data(self) -> None:
        fields = (*tiny.FIELDS[:3], Field("age", NUMBER, minimum=0.0, maximum=5000.0), tiny.FIELDS[4])
        assert expected_ranges(tiny.spec(fields=fields))["age"].high == 5000

    def test_without_statistics_there_is_no_range(self) -> None:
        fields = tuple(Field(f.name, f.kind) for f in tiny.FIELDS)
        assert expected_ranges(tiny.spec(fields=fields, steps=())) == {}

    def test_rows_of_the_book_get_no_warnings(self, adult: Any, cookbook: Any) -> None:
        model = Predictor.open(adult)
        rows = payload.read((cookbook / "adult_sample_test.csv").read_bytes(), "text/csv", model.spec).records
        assert not any(answer["warnings"] for answer in model.predict(rows))
        [warning] = model.predict([rows[0] | {"age": 999}])[0]["warnings"]
        assert "38.44 ± 13.13" in warning["message"]
        assert model.predict([rows[0] | {"capital-gain": 99_999}])[0]["warnings"] == []


class TestManyErrors:
    BAD: ClassVar[Any] = {"error": {"code": "c", "field": "f", "record": 0, "message": "m" * 300, "fix": "f" * 300}}
    GOOD: ClassVar[Any] = {"prediction": 1.0, "warnings": []}

    def test_the_first_errors_are_complete(self) -> None:
        answers = number_errors([self.BAD] * 1000)
        assert [a["error"]["record"] for a in answers] == list(range(1000))
        assert all(a["error"].keys() == self.BAD["error"].keys() for a in answers)
        assert [len(a["error"]["message"]) == 300 for a in answers] == [True] * EXPLAINED_ERRORS + [False] * 900
        assert len(orjson.dumps(answers[EXPLAINED_ERRORS:])) < 900 * 110

    def test_as_many_errors_are_complete_as_records_were_answered(self) -> None:
        answers = number_errors([self.BAD, self.GOOD] * 300)
        assert all(len(a["error"]["message"]) == 300 for a in answers if "error" in a)

    @pytest.mark.parametrize("line", [b"{}\n", b"1\n"])
    def test_a_body_of_invalid_records_is_answered_line_by_line(self, predictor: Predictor, line: bytes) -> None:
        request = payload.read(line * 20_000, "application/jsonlines", predictor.spec)
        began = time.process_time()
        body = payload.write(request, predictor.predict(request.records), predictor.spec).body
        assert time.process_time() - began < 3
        lines = body.splitlines()
        assert [orjson.loads(each)["error"]["record"] for each in lines] == list(range(20_000))
