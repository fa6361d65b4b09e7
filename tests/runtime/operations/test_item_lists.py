"""Lists of items: order, checks of the spec, limits and shapes of requests."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator
from tests.runtime import tiny, tiny_ratings

from fastmar_runtime import payload
from fastmar_runtime import spec as spec_format
from fastmar_runtime.checks import check_spec
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.openapi import V30, V31, openapi
from fastmar_runtime.operations.recommender import item_lists
from fastmar_runtime.operators import float_initializer
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.ranking import largest
from fastmar_runtime.schema import describe
from fastmar_runtime.service import Service
from fastmar_runtime.spec import Recommender

MAX_RESPONSE = 1 << 20
BEST = ["Alien", "Brazil", "Casablanca", "Eraserhead", "Dune"]  # for user 1, whose only factor is the first
LIST = {
    "user": 1,
    "recommendations": [{"item": "Brazil", "prediction": 3.0}, {"item": "Casablanca", "prediction": 2.0}],
    "warnings": [],
}


def respond(body: Any, content_type: str = "application/json", model: Predictor | None = None) -> tuple[int, Any]:
    """Status and parsed body of the response."""
    model = model or tiny_ratings.predictor()
    service = Service(model, MAX_RESPONSE)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = service.receive(lambda limit: payload.read(data, content_type, model.spec, max_records=limit))
    [response] = service.respond([request])
    lines = response.content_type == payload.LINES_TYPE
    return response.status, [*map(json.loads, response.body.splitlines())] if lines else json.loads(response.body)


@given(arrays(np.float32, st.integers(1, 40), elements=st.integers(-3, 3).map(float)), st.integers(1, 50))
def test_largest_are_the_first_of_a_stable_sort(values: Any, k: int) -> None:
    expected = sorted(range(len(values)), key=lambda at: -values[at])[:k]
    assert largest(values, k).tolist() == expected


def test_the_best_items_first() -> None:
    [answer] = tiny_ratings.predictor().predict([{"user": 1, "recommend": 10}])
    assert [entry["item"] for entry in answer["recommendations"]] == BEST
    assert [entry["prediction"] for entry in answer["recommendations"]] == [4, 3, 2, 2, 1]


def test_each_user_has_a_list() -> None:
    [answer] = tiny_ratings.predictor().predict([{"user": 7, "recommend": 10}])
    assert [entry["item"] for entry in answer["recommendations"]] == [
        "Dune", "Casablanca", "Eraserhead", "Brazil", "Alien",
    ]  # fmt: skip


@pytest.mark.parametrize("size", range(1, 7))
def test_more_items_than_a_slice(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_lists, "_SLICE", size)
    [answer] = tiny_ratings.predictor().predict([{"user": 1, "recommend": 10}])
    assert [entry["item"] for entry in answer["recommendations"]] == BEST


def test_lists_among_records_keep_their_places() -> None:
    pair = {**tiny_ratings.RECORD, "recommend": 3}
    records = [pair, {"user": 1, "recommend": True}, pair, {"title": "Alien", "similar": 2}, {"user": 1}]
    first, refused, second, listed, incomplete = tiny_ratings.predictor().predict(records)
    assert first == second
    assert first["prediction"] == 1
    assert [w["field"] for w in first["warnings"]] == ["recommend"], "a record with both columns is a pair"
    assert (refused["error"]["code"], refused["error"]["record"]) == ("k_out_of_range", 1)
    assert len(listed["similar"]) == 2
    assert (incomplete["error"]["code"], incomplete["error"]["record"]) == ("missing_column", 4)


def test_an_unknown_item_leaves_out_none() -> None:
    [answer] = tiny_ratings.predictor().predict([{"user": 1, "recommend": 10, "seen": ["Zulu", None]}])
    assert [entry["item"] for entry in answer["recommendations"]] == BEST
    assert [warning["value"] for warning in answer["warnings"]] == ["Zulu"]


def test_similar_items() -> None:
    [answer] = tiny_ratings.predictor().predict([{"title": "Casablanca", "similar": 2}])
    assert [entry["item"] for entry in answer["similar"]] == ["Eraserhead", "Dune"]
    assert [entry["similarity"] for entry in answer["similar"]] == pytest.approx([1, 14 / 221**0.5])


def test_an_item_without_length_is_similar_to_none() -> None:
    factors = tiny_ratings.ITEM_FACTORS.copy()
    factors[2] = 0
    model = Predictor(tiny_ratings.spec(), tiny_ratings.graph(factors))
    [answer] = model.predict([{"title": "Brazil", "similar": 4}])
    assert [entry["similarity"] for entry in answer["similar"]] == [0, 0, 0, 0]


def test_order_of_the_columns(tmp_path: Path) -> None:
    """The network may read the item first."""
    swapped = {**tiny_ratings.spec().steps[1], "cats": ["title", "user"]}
    model = tiny_ratings.spec(steps=(tiny_ratings.spec().steps[0], swapped))
    lists = Predictor(model, tiny_ratings.graph()).operations
    assert isinstance(lists, item_lists.ItemLists)
    assert (lists._columns.user, lists._columns.item) == (1, 0)


RECORD = {"user": 1, "recommend": 2, "seen": ["Alien"]}
BODIES: dict[str, tuple[Any, str, Any]] = {
    "a record": (RECORD, "application/json", LIST),
    "a list": ([RECORD, RECORD], "application/json", [LIST, LIST]),
    "instances": ({"instances": [RECORD]}, "application/json", {"predictions": [LIST]}),
    "lines": (json.dumps(RECORD).encode() + b"\n", "application/jsonlines", [LIST]),
    "seen first": (dict(reversed(RECORD.items())), "application/json", LIST),
    "columns": ({"user": [1], "recommend": [2], "seen": [["Alien"]]}, "application/json", [LIST]),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies(name: str) -> None:
    body, content_type, expected = BODIES[name]
    assert respond(body, content_type) == (200, expected)


def test_tensors_are_refused() -> None:
    columns = {"user": 1, "recommend": 2}
    tensors = [{"name": name, "shape": [1], "datatype": "INT64", "data": [value]} for name, value in columns.items()]
    status, body = respond({"inputs": tensors})
    assert status == 400
    assert "'recommend' is not available by protocol v2" in body["error"]


def test_a_table_is_refused_row_by_row() -> None:
    status, [answer] = respond(b"user,recommend\n1,2\n", "text/csv")
    assert (status, answer["error"]["code"]) == (400, "k_out_of_range")


@pytest.mark.parametrize(
    ("record", "size"),
    [
        ({"user": 1, "recommend": 10}, 10),
        ({"user": 1, "recommend": 10, "seen": ["Alien"] * 5}, 15),
        ({"user": 1, "recommend": -5}, 1000),
        ({"user": 1, "recommend": 10**9}, 1000),
        ({"title": "Alien", "similar": 7}, 1000),
    ],
)
def test_lists_count_as_records(record: Any, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    body = [tiny_ratings.RECORD, record]
    monkeypatch.setattr("fastmar_runtime.service.MAX_RECORDS", size + 2)
    assert respond(body)[0] == 200
    monkeypatch.setattr("fastmar_runtime.service.MAX_RECORDS", size + 1)
    status, refused = respond(body)
    assert (status, refused["error"]["code"]) == (413, "too_many_records")


def test_pairs_count_as_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastmar_runtime.operations.recommender.item_lists._PAIRS_A_RECORD", 1)
    monkeypatch.setattr("fastmar_runtime.service.MAX_RECORDS", 1 + 2 + 5 - 1)
    assert respond({"user": 1, "recommend": 2})[0] == 413


def test_models_without_recommender_answer_as_before() -> None:
    [answer] = tiny.predictor().predict([tiny.record(recommend=3)])
    assert [(w["field"], w["code"]) for w in answer["warnings"]] == [("recommend", "extra_column")]


def test_spec_is_read_as_written() -> None:
    for changed in (tiny_ratings.spec(), tiny_ratings.spec(recommender=None)):
        assert spec_format.from_dict(json.loads(json.dumps(spec_format.to_dict(changed)))) == changed
    assert "recommender" not in spec_format.to_dict(tiny.spec())


SPEC = tiny_ratings.spec()
INVALID: dict[str, tuple[Any, str]] = {
    "an unknown user": (replace(SPEC, recommender=Recommender("users", "title")), "recommender.user"),
    "an unknown item": (replace(SPEC, recommender=Recommender("user", "film")), "recommender.item"),
    "the same field twice": (replace(SPEC, recommender=Recommender("user", "user")), "both columns"),
    "no items": (replace(SPEC, fields=(SPEC.fields[0], replace(SPEC.fields[1], categories=()))), "no categories"),
    "two numbers": (replace(SPEC, decode={**SPEC.decode, "size": 2}), "one number"),
    "raw outputs": (replace(SPEC, decode=tiny.RAW_DECODER), "one number"),
    "other columns": (tiny.spec(recommender=Recommender("workclass", "grade")), "both columns"),
}


@pytest.mark.parametrize("name", INVALID)
def test_an_inconsistent_spec_is_refused(name: str) -> None:
    model, fact = INVALID[name]
    check_spec(SPEC)
    with pytest.raises(BundleUnreadable, match=fact):
        check_spec(model)


@pytest.mark.parametrize(
    ("factors", "name"),
    [(tiny_ratings.ITEM_FACTORS[1:], "items"), (tiny_ratings.ITEM_FACTORS * np.nan, "items"), (None, "axis")],
    ids=["a row too few", "NaN", "integers"],
)
def test_other_weights_than_factors_are_refused(factors: Any, name: str) -> None:
    graph = tiny_ratings.graph(tiny_ratings.ITEM_FACTORS if factors is None else factors)
    with pytest.raises(BundleUnreadable, match=r"recommender\.factors"):
        Predictor(tiny_ratings.spec(recommender=Recommender("user", "title", name)), graph)


def test_weights_of_a_graph() -> None:
    graph = tiny_ratings.graph()
    found = float_initializer(graph, "users")
    assert found is not None
    assert np.array_equal(found, tiny_ratings.USER_FACTORS)
    assert float_initializer(graph, "user") is None
    assert float_initializer(graph, "first") is None
    assert float_initializer(graph, "int32") is None


OPTIONS = ("recommend", "similar")
SENT = {"recommend": {"user": 1, "recommend": 2, "seen": ["Alien"]}, "similar": {"title": "Alien", "similar": 2}}


@pytest.mark.parametrize("option", OPTIONS)
def test_schemas_describe_records_and_lists(option: str) -> None:
    described = describe(SPEC)["recommender"]
    assert (described["user"], described["item"]) == ("user", "title")
    record, answer = (Draft202012Validator(described[option][part]) for part in ("record", "answer"))
    record.validate(SENT[option])
    assert not record.is_valid(tiny_ratings.RECORD)
    assert not record.is_valid({**SENT[option], option: 1001})
    [given] = tiny_ratings.predictor().predict([SENT[option]])
    answer.validate(given)
    assert not answer.is_valid({"prediction": 1.0, "warnings": []})


@pytest.mark.parametrize("version", [V30, V31])
def test_openapi_documents_have_an_operation_for_each_list(version: str) -> None:
    written = json.loads(json.dumps(openapi(SPEC, version)))
    {V30: OpenAPIV30SpecValidator, V31: OpenAPIV31SpecValidator}[version](written).validate()
    operations = {post["post"]["operationId"]: post["post"] for post in written["paths"].values() if "post" in post}
    assert set(OPTIONS) <= operations.keys()
    for option in OPTIONS:
        content = operations[option]["requestBody"]["content"]["application/json"]
        [answer] = tiny_ratings.predictor().predict([content["example"]])
        for schema, value in (
            (content["schema"], content["example"]),
            (operations[option]["responses"]["200"]["content"]["application/json"]["schema"], answer),
        ):
            if version == V31:
                Draft202012Validator({**schema, "components": written["components"]}).validate(value)


def test_models_without_factors_describe_no_similar_items() -> None:
    model = tiny_ratings.spec(recommender=Recommender("user", "title"))
    assert "similar" not in describe(model)["recommender"]
    assert "/models/films/similar" not in openapi(model)["paths"]
    assert "recommender" not in describe(tiny.spec())


def test_a_column_that_is_no_identifier_is_in_a_map() -> None:
    first, second = SPEC.fields
    steps = json.loads(json.dumps(SPEC.steps).replace('"user"', '"a/b"'))
    model = tiny_ratings.spec(
        fields=(replace(first, name="a/b", categories=(1, "a")), second),
        steps=tuple(steps),
        recommender=Recommender("a/b", "title"),
    )
    check_spec(model)
    assert openapi(model)["components"]["schemas"]["RecommendRequest"]["additionalProperties"] is True
