"""Explanations: answers equal to asking one at a time, effects, curves, limits and schemas."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from onnx import TensorProto, helper
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from tests.runtime import tiny, tiny_ratings
from tests.runtime.explanations import check_equal_to_asking_one_at_a_time

from fastmar_contract.values import CATEGORY, DATE, NUMBER
from fastmar_runtime import payload
from fastmar_runtime.openapi import V30, V31, openapi
from fastmar_runtime.operations.explainer import what_if
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles.counting import Counter
from fastmar_runtime.schema import describe
from fastmar_runtime.service import Service
from fastmar_runtime.spec import Field, Tensor


def explain(model: Predictor | None = None, **changes: Any) -> Any:
    [answer] = (model or tiny.predictor()).predict([{**tiny.record(**changes), "explain": True}])
    return answer


records = st.fixed_dictionaries(
    {
        "workclass": st.sampled_from([" Private", "State-gov", "never seen", None]),
        "grade": st.sampled_from([3, 7, 11, 4]),
        "vip": st.booleans(),
        "age": st.none() | st.floats(-100, 200),
        "hours": st.floats(-100, 200),
    }
)


@given(records)
def test_answers_are_equal_to_asking_one_at_a_time(record: dict[str, Any]) -> None:
    check_equal_to_asking_one_at_a_time(tiny.predictor(), record)
    check_equal_to_asking_one_at_a_time(tiny.predictor(decode=tiny.ONE_NUMBER_DECODER), record)


def test_the_curve_has_the_known_categories_and_a_range_around_the_mean() -> None:
    columns = {each["column"]: each for each in explain(age=49)["columns"]}
    assert [point["value"] for point in columns["grade"]["curve"]] == [3, 7, 11]
    ages = [point["value"] for point in columns["age"]["curve"]]
    assert ages == sorted(ages)
    assert (ages[0], ages[-1]) == (25, 55)  # 1.5 standard deviations
    assert 49 in ages
    assert (columns["age"]["sent"], columns["age"]["typical"]) == (49, 40.0)


def test_the_curve_covers_the_reference_range() -> None:
    fields = [replace(each, minimum=17, maximum=90.5) if each.name == "age" else each for each in tiny.FIELDS]
    columns = {each["column"]: each for each in explain(tiny.predictor(fields=tuple(fields)))["columns"]}
    ages = [point["value"] for point in columns["age"]["curve"]]
    assert (ages[0], ages[-1]) == (17, 90.5)
    assert all(age == round(age) for age in ages[:-1])


def test_the_curve_has_no_impossible_numbers() -> None:
    def ages(*, minimum: Any = None, maximum: Any = None, **sent: Any) -> list[Any]:
        fields = [replace(each, spread=90.0) if each.name == "age" else each for each in tiny.FIELDS]
        ui = {"fields": {"age": {"minimum": minimum, "maximum": maximum}}}
        model = tiny.predictor(fields=tuple(fields), ui=ui)
        [curve] = [each["curve"] for each in explain(model, **sent)["columns"] if each["column"] == "age"]
        return [point["value"] for point in curve]

    assert min(ages(age=49)) == 0, "the mean is positive"
    assert min(ages(age=-30)) == -100, "the sent age shows that negative ones occur"
    assert [ages(age=49, minimum=16.5, maximum=99)[end] for end in (0, -1)] == [16.5, 99], "the limits of ui.yaml"
    assert ages(age=49, minimum=60, maximum=20) == []


def test_the_curve_of_a_part_of_a_date_has_its_values() -> None:
    spec = tiny.date_spec()
    fields = [replace(each, default=6.5, spread=6.0) if each.name == "saleMonth" else each for each in spec.fields]
    operations = what_if.WhatIf(_model(SimpleNamespace(spec=spec), *fields))
    [column] = operations._columns({"saleMonth": 3})
    assert column.values == list(range(1, 13))


def test_the_largest_effect_is_first() -> None:
    effects = [abs(column["effect"]) for column in explain()["columns"]]
    assert effects == sorted(effects, reverse=True)
    assert effects[0] > 0


def test_columns_with_their_typical_value_are_ranked_by_their_curve() -> None:
    record = {each.name: each.default for each in tiny.FIELDS}
    [answer] = tiny.predictor().predict([{**record, "explain": True}])
    curves = [[point["outcome"] for point in column["curve"]] for column in answer["columns"]]
    heights = [max(curve) - min(curve) for curve in curves]
    assert [column["effect"] for column in answer["columns"]] == [0] * 5
    assert heights == sorted(heights, reverse=True)


def test_a_date_keeps_its_day_of_the_week_and_its_alias() -> None:
    field = Field("saledate", DATE, default="2024-01-31", aliases=("sale",))
    assert what_if._dates("2024-01-31", 3) == ["2024-01-03", "2024-01-31", "2024-02-28"]
    assert what_if._dates("2024-01-31T10:00", 1) == ["2024-01-31T10:00:00"]
    assert what_if._dates("0001-01-01", 3) == []
    assert what_if._dates(7, 3) == []
    model = tiny.predictor()
    operations = what_if.WhatIf(_model(model, field))
    [column] = operations._columns({"sale": "2024-01-31"})
    assert (column.name, column.typical, len(column.values)) == ("sale", "2024-01-31", 13)


def test_a_date_is_changed_under_the_name_that_was_sent() -> None:
    spec = tiny.date_spec()
    month = np.eye(len(tiny.DATE_PARTS), dtype=np.float32)[:, 1:2]
    nodes = [helper.make_node("MatMul", ["x_cont", "weights"], ["output"])]
    inputs = [helper.make_tensor_value_info("x_cont", TensorProto.FLOAT, ["batch", len(tiny.DATE_PARTS)])]
    outputs = (Tensor("output", "float32", ("batch", 1)),)
    answers_month = replace(spec, decode=tiny.ONE_NUMBER_DECODER, outputs=outputs)
    [answer] = Predictor(answers_month, tiny._model(nodes, inputs, month)).predict(
        [{"sale": "2024-05-15", "explain": True}]
    )
    [column] = answer["columns"]
    assert (answer["value"], column["column"], column["effect"]) == (5, "sale", None)
    assert [point["outcome"] for point in column["curve"]] == [int(point["value"][5:7]) for point in column["curve"]]
    assert len({point["outcome"] for point in column["curve"]}) > 10


def _model(model: Any, *fields: Field) -> Any:
    class Model:
        spec = replace(model.spec, fields=fields)
        predict = None

    return Model()


@pytest.mark.parametrize("count", [1, 100, 3000])
def test_wide_records_get_fewer_points(count: int) -> None:
    fields = [Field(f"n{at}", NUMBER, default=0.0, spread=1.0) for at in range(count)]
    fields += [Field(f"c{at}", CATEGORY, categories=tuple(range(1000))) for at in range(count)]
    operations = what_if.WhatIf(_model(tiny.predictor(), *fields))
    columns = list(operations._columns({field.name: 0.5 for field in fields}))
    rows = 1 + sum(1 + len(column.values) for column in columns)
    assert rows <= operations.size({})
    assert rows <= max(what_if.MAX_ROWS, 1 + 2 * 4 * count)
    assert all(2 <= len(column.values) <= what_if.MAX_CATEGORIES for column in columns)


def test_only_true_requests_an_explanation() -> None:
    for value in (False, 1, "true", None):
        [answer] = tiny.predictor().predict([{**tiny.record(), "explain": value}])
        assert "prediction" in answer
        assert [warning["field"] for warning in answer["warnings"]] == ["explain"]


def test_an_invalid_record_is_refused_at_its_place() -> None:
    records = [tiny.record(), {**tiny.record(hours="many"), "explain": True}, {**tiny.record(), "explain": True}]
    first, refused, explained = tiny.predictor().predict(records)
    assert "prediction" in first
    assert (refused["error"]["field"], refused["error"]["record"]) == ("hours", 1)
    assert explained["columns"]
    [alone] = tiny.predictor().predict([tiny.record(hours="many")])
    assert refused["error"]["code"] == alone["error"]["code"]


def test_copies_of_records_are_not_counted_in_profiles() -> None:
    model = tiny.predictor()
    seen: list[Any] = []
    counter = Counter(())
    counter.answered(model.predict([{**tiny.record(), "explain": True}], seen.append))
    assert not seen
    assert counter.take().rows == 0


@pytest.mark.parametrize(
    "changes",
    [{"decode": tiny.MULTI_DECODER}, {"decode": tiny.TWO_NUMBERS_DECODER}, {"decode": tiny.RAW_DECODER}],
)
def test_other_answers_are_not_explained(changes: Any) -> None:
    assert "explainer" not in describe(tiny.spec(**changes))
    assert tiny.predictor(**changes).operations is None


def test_a_column_with_the_name_of_the_option_takes_precedence() -> None:
    renamed = json.loads(json.dumps([*tiny.STEPS]).replace('"vip"', '"explain"'))
    fields = tuple(replace(each, name="explain") if each.name == "vip" else each for each in tiny.FIELDS)
    model = tiny.predictor(fields=fields, steps=tuple(renamed))
    [answer] = model.predict([{**tiny.record(vip=...), "explain": True}])
    assert "prediction" in answer
    assert "explainer" not in describe(model.spec)


def test_recommenders_keep_their_operations() -> None:
    assert "explainer" not in describe(tiny_ratings.spec())


def respond(body: bytes, model: Predictor) -> tuple[int, Any]:
    service = Service(model, 1 << 20)
    request = service.receive(lambda limit: payload.read(body, "application/json", model.spec, max_records=limit))
    [response] = service.respond([request])
    return response.status, json.loads(response.body)


def test_too_many_explanations_in_a_request_are_refused() -> None:
    record = json.dumps({**tiny.record(), "explain": True})
    assert respond(record.encode(), tiny.predictor())[0] == 200
    status, answer = respond(f"[{','.join([record] * 2000)}]".encode(), tiny.predictor())
    assert (status, answer["error"]["code"]) == (413, payload.TOO_MANY)


@pytest.mark.parametrize("decode", [tiny.CATEGORY_DECODER, tiny.ONE_NUMBER_DECODER])
def test_schemas_describe_the_record_and_the_explanation(decode: Any) -> None:
    model = tiny.predictor(decode=decode)
    described = describe(model.spec)["explainer"]["explain"]
    record, answer = (Draft202012Validator(described[part]) for part in ("record", "answer"))
    record.validate({**tiny.record(), "explain": True})
    assert not record.is_valid(tiny.record())
    answer.validate(explain(model))
    for version, validator in ((V30, OpenAPIV30SpecValidator), (V31, OpenAPIV31SpecValidator)):
        written = json.loads(json.dumps(openapi(model.spec, version)))
        validator(written).validate()
        operations = {each["post"]["operationId"]: each["post"] for each in written["paths"].values() if "post" in each}
        assert {"predict", "predict_version", "explain"} <= operations.keys()
        content = operations["explain"]["requestBody"]["content"]["application/json"]
        if version == V31:
            schema = operations["explain"]["responses"]["200"]["content"]["application/json"]["schema"]
            for each, value in ((content["schema"], content["example"]), (schema, explain(model))):
                Draft202012Validator({**each, "components": written["components"]}).validate(value)
