"""Validation of records before they are sent, compared with the model's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.models import InProcess
from tests.runtime import tiny

from fastmar_client import Client, RecordRefused, Schema
from fastmar_contract.values import CATEGORY, NUMBER
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.schema import describe
from fastmar_runtime.spec import Field

GOOD = {"age": 49, "workclass": " Private", "education": " Masters", "hours-per-week": 40}

tiny_predictor = tiny.predictor()
tiny_schema = Schema(describe(tiny_predictor.spec))
date_predictor = Predictor(tiny.date_spec(), tiny.date_graph())
date_schema = Schema(describe(date_predictor.spec))


class TestAgreementWithTheModel:
    """The runtime is the oracle: the client finds the same errors, with the same messages, and the same warnings."""

    def compare(self, predictor: Predictor, schema: Schema, record: Any) -> None:
        [answer] = predictor.predict([record])
        found = schema.problems(record)
        refusals = {(p.code, p.field, p.message, p.fix) for p in found if p.weight == "refused"}
        if "error" in answer:
            for error in answer["error"].get("errors", [answer["error"]]):
                assert (error["code"], error["field"], error["message"], error["fix"]) in refusals
        else:
            assert not refusals
            warned = {(w["code"], w["field"]) for w in answer["warnings"] if w["code"] != "far_from_training"}
            assert warned == {(p.code, p.field) for p in found}

    @pytest.mark.parametrize(
        "record",
        [
            tiny.record(),
            tiny.record(age=...),
            tiny.record(hours=...) | {" Hours": 3},
            tiny.record(workclass=..., hours=...) | {"work-class": " Private", "huors": 3},
            tiny.record(salary="<50k"),
            tiny.record(salary="<50k", extra=1),
            tiny.record(age=None),
            tiny.record(hours=None),
            tiny.record(age="39"),
            tiny.record(age="old"),
            tiny.record(age=1e39),
            tiny.record(age=float("inf")),
            tiny.record(hours=float("-inf")),
            tiny.record(age=float("nan")),
            tiny.record(grade=float("inf")),
            tiny.record(age=True),
            tiny.record(workclass="Private"),
            tiny.record(workclass="x"),
            tiny.record(workclass=3),
            tiny.record(workclass=None),
            tiny.record(workclass=["a"]),
            tiny.record(grade="3"),
            tiny.record(grade=3.0),
            tiny.record(grade=True),
            tiny.record(vip=1),
            tiny.record(vip="True"),
            tiny.record(extra=1),
            {},
            [],
            3,
            None,
        ],
    )
    def test_records(self, record: Any) -> None:
        self.compare(tiny_predictor, tiny_schema, record)

    @given(
        st.dictionaries(
            st.sampled_from(["workclass", "grade", "vip", "age", "hours", "extra", "Age", "hours "]),
            st.none()
            | st.booleans()
            | st.integers(-(2**70), 2**70)
            | st.floats()
            | st.sampled_from([" Private", "Private ", "NA", "3", "True", "1e9", "x", 3, 7.0, ["a"], {"a": 1}])
            | st.text(max_size=100),
        ).map(lambda changes: tiny.record() | changes)
    )
    def test_any_record(self, record: Any) -> None:
        self.compare(tiny_predictor, tiny_schema, record)

    @pytest.mark.parametrize("name", ["saledate", "saleDate", "sale"])
    @pytest.mark.parametrize(
        "value",
        [
            "2024-01-31",
            "2024-01-31T08:30:00",
            "2024-01-31T08:30:00+09:00",
            "2024-01-31T08:30:00Z",
            "soon",
            None,
            3,
            ...,
        ],
    )
    @pytest.mark.parametrize("part", [..., 2024, None, "x"])
    def test_dates(self, name: str, value: Any, part: Any) -> None:
        record = {key: each for key, each in {name: value, "saleYear": part}.items() if each is not ...}
        self.compare(date_predictor, date_schema, record)

    def test_dates_by_their_parts(self) -> None:
        parts = dict.fromkeys(["saleYear", "saleMonth", "saleWeek", "saleIs_month_end", "saleElapsed"], 1)
        self.compare(date_predictor, date_schema, parts)
        for name in ("saledate", "saleDate", "sale"):
            for value in ("soon", 3, None, "2024-01-31", "2024-01-31T08:30:00+09:00"):
                self.compare(date_predictor, date_schema, parts | {name: value})


class TestValidate:
    @pytest.mark.parametrize(
        ("record", "code", "field"),
        [
            ({**GOOD, "agee": 1}, "extra_column", "agee"),
            ({"age": 49}, "missing_column", "workclass"),
            ({**GOOD, "age": "old"}, "not_a_number", "age"),
            ({**GOOD, "workclass": "privat"}, "unknown_category", "workclass"),
            ({**GOOD, "hours-per-week": None}, "null_not_filled", "hours-per-week"),
            ({**GOOD, "age": float("inf")}, "out_of_range", "age"),
            ({**GOOD, "x": {1}}, "not_json", None),
            ("photo.jpg", "not_an_object", None),
        ],
    )
    def test_invalid_record_is_not_sent(
        self, local: Client, in_process: InProcess, record: Any, code: str, field: str | None
    ) -> None:
        with pytest.raises(RecordRefused) as caught:
            local.predict("adult", record, validate=True)
        assert (caught.value.code, caught.value.field, caught.value.model) == (code, field, "adult")
        assert caught.value.fix
        assert in_process.bodies == []
        [first, second] = local.predict_many("adult", [GOOD, record], validate=True)
        assert (first["warnings"], second["error"]["code"], second["error"]["record"]) == ([], code, 1)
        assert len(in_process.bodies) == 1

    def test_error_names_all_invalid_columns_and_describes_the_worst(self, local: Client) -> None:
        with pytest.raises(RecordRefused) as caught:
            local.predict("adult", {**GOOD, "agee": 1, "workclass": "no", "age": "x"}, validate=True)
        assert (caught.value.code, caught.value.field) == ("not_a_number", "age")
        assert all(name in caught.value.message for name in ("'agee'", "'workclass'"))

    def test_valid_record_gets_the_same_answer(self, local: Client) -> None:
        for record in (GOOD, {**GOOD, "age": np.float32(49)}, {**GOOD, "workclass": "Private"}):
            assert local.predict("adult", record, validate=True) == local.predict("adult", record)

    def test_fixes_name_the_similar_category_or_column(self) -> None:
        [category] = tiny_schema.problems(tiny.record(workclass=" Stategov"))
        assert "' State-gov'" in category.fix
        [column] = tiny_schema.problems(tiny.record(hourss=3))
        assert "'hours'" not in column.fix, "the record has it already"
        assert "'hours'" in tiny_schema.problems(tiny.record(hours=..., hourss=3))[1].fix

    def test_schema_is_cached_for_a_limited_time(self, predictor: Predictor, monkeypatch: Any) -> None:
        content_types = []

        class Counting(InProcess):
            def send(self, *arguments: Any) -> Any:
                content_types.append(arguments[3].get("Content-Type"))
                return super().send(*arguments)

        client = Client(transport=Counting(predictor))
        for _ in range(3):
            client.predict("adult", GOOD, validate=True)
        assert content_types.count("application/schema-request+json") == 1
        monkeypatch.setattr("fastmar_client.calls.SCHEMA_CACHE_SECONDS", 0.0)
        client.predict("adult", GOOD, validate=True)
        assert content_types.count("application/schema-request+json") == 2


class TestRanges:
    fields = (
        Field("both", NUMBER, minimum=17.0, maximum=90.0, default=40.0),
        Field("low", NUMBER, minimum=0.5, default=1.0),
        Field("high", NUMBER, maximum=10.0, default=1.0),
    )
    schema = Schema(describe(tiny.spec(fields=fields)))

    @pytest.mark.parametrize(
        ("record", "facts"),
        [
            ({"both": 90, "low": 0.5, "high": -1e9}, None),
            ({"both": 16, "low": 1, "high": 1}, ("both", "16", "17 to 90")),
            ({"both": 90.5, "low": 1, "high": 1}, ("both", "90.5", "17 to 90")),
            ({"both": 20, "low": 0, "high": 1}, ("low", "0", "at least 0.5")),
            ({"both": 20, "low": 1, "high": 11}, ("high", "11", "at most 10")),
        ],
    )
    def test_number_outside_of_the_range_is_unusual(self, record: Any, facts: tuple[str, str, str] | None) -> None:
        problems = self.schema.problems(record)
        codes = [(problem.weight, problem.code, problem.field) for problem in problems]
        assert codes == ([("unusual", "outside_training", facts[0])] if facts else [])
        assert all(fact in problem.message for problem in problems for fact in facts or ())

    def test_number_outside_of_the_range_is_a_warning_of_the_answer(self, predictor: Predictor) -> None:
        from dataclasses import replace

        spec = predictor.spec
        fields = tuple(replace(f, minimum=17.0, maximum=90.0) if f.name == "age" else f for f in spec.fields)
        bounded = Predictor.__new__(Predictor)
        bounded.__dict__ |= predictor.__dict__ | {"spec": replace(spec, fields=fields)}
        client = Client(transport=InProcess(bounded))
        young = {**GOOD, "age": 3}
        answer = client.predict("adult", young, validate=True)
        [warning] = answer["warnings"]
        assert (warning["field"], warning["code"], warning["value"]) == ("age", "outside_training", 3)
        assert client.predict("adult", young)["warnings"] == []
        assert [len(a["warnings"]) for a in client.predict("adult", [GOOD, young], validate=True)] == [0, 1]


def test_categories_are_not_checked_if_the_schema_lists_only_some() -> None:
    categories = tuple(f"c{number}" for number in range(1500))
    schema = Schema(describe(tiny.spec(fields=(Field("c", CATEGORY, categories=categories),))))
    assert schema.problems({"c": "c1400"}) == schema.problems({"c": "x"}) == []


class TestPictures:
    schema = Schema(
        {"name": "m", "kind": "vision", "record": {"properties": {"image": {}, "name": {}}, "required": ["image"]}}
    )

    @pytest.mark.parametrize(
        ("record", "code"),
        [
            (b"\xff\xd8\xff", None),
            (Path("cat.jpg"), None),
            ({"image": {"b64": "AAAA"}, "name": "x"}, None),
            ({"image": "AAAA", "mask_size": "original"}, None),
            ({"b64": "AAAA"}, None),
            ({}, "missing_column"),
            ({"image": 3}, "not_a_picture"),
            ({"image": "AAAA", "mask_size": "huge"}, "bad_option"),
            ({"image": "AAAA", "age": 3}, "extra_column"),
        ],
    )
    def test_records(self, record: Any, code: str | None) -> None:
        assert [problem.code for problem in self.schema.problems(record)] == ([code] if code else [])
