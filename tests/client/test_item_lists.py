"""`recommend` and `similar`: of both clients, of `fastmar.load`, and of the fake server."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import numpy as np
import pytest
from tests.client.blocking import Connect, connected
from tests.client.models import InProcess
from tests.runtime import tiny, tiny_ratings

import fastmar
from fastmar_client import ModelNotFound, RecordRefused
from fastmar_client.testing import FakeServer
from fastmar_contract.errors import RecordError
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.schema import describe
from fastmar_runtime.spec import Recommender

SCHEMA = describe(tiny_ratings.spec())
RECOMMENDED = {
    "user": 1,
    "recommendations": [{"item": "Brazil", "prediction": 3.0}, {"item": "Casablanca", "prediction": 2.0}],
    "warnings": [],
}


@pytest.fixture
def server() -> InProcess:
    return InProcess(tiny_ratings.predictor())


def test_recommend(connect: Connect, server: InProcess) -> None:
    with connected(connect, server) as client:
        assert client.recommend("films", 1, 2, seen=["Alien"]) == RECOMMENDED
        assert client.recommend("films", np.int64(1), k=2, seen=np.array(["Alien"])) == RECOMMENDED
        assert len(client.recommend("films", 1, version="1.0")["recommendations"]) == 5
    assert json.loads(server.bodies[0]) == {"user": 1, "recommend": 2, "seen": ["Alien"]}


def test_similar(connect: Connect, server: InProcess) -> None:
    with connected(connect, server) as client:
        answer = client.similar("films", "Casablanca", 1)
    assert answer == {
        "item": "Casablanca",
        "similar": [{"item": "Eraserhead", "similarity": pytest.approx(1)}],
        "warnings": [],
    }


def test_unknown_users_and_items(connect: Connect, server: InProcess) -> None:
    with connected(connect, server) as client:
        assert [w["code"] for w in client.recommend("films", 99)["warnings"]] == ["unknown_category"]
        with pytest.raises(RecordRefused) as caught:
            client.similar("films", "Zulu")
        assert (caught.value.code, caught.value.field) == ("unknown_item", "title")
        with pytest.raises(RecordRefused) as caught:
            client.recommend("films", 1, 0)
        assert caught.value.code == "k_out_of_range"


def test_other_models_are_refused_before_a_request(connect: Connect) -> None:
    server = InProcess(tiny.predictor())
    with connected(connect, server) as client:
        for call in (lambda: client.recommend("tiny", 1), lambda: client.similar("tiny", "Alien")):
            with pytest.raises(RecordRefused) as caught:
                call()
            assert caught.value.code == "not_a_recommender"
    assert server.bodies == []


def test_a_model_without_factors_compares_no_items(connect: Connect) -> None:
    server = InProcess(tiny_ratings.predictor(recommender=Recommender("user", "title")))
    with connected(connect, server) as client:
        assert client.recommend("films", 1, 2, seen=["Alien"]) == RECOMMENDED
        with pytest.raises(RecordRefused) as caught:
            client.similar("films", "Alien")
        assert caught.value.code == "not_a_recommender"


def test_loaded_models_answer_like_a_server(server: InProcess) -> None:
    model = fastmar.Model(server.predictor)
    assert model.recommend(np.int64(1), 2, seen=["Alien"]) == RECOMMENDED
    assert [entry["item"] for entry in model.similar("Casablanca", 2)["similar"]] == ["Eraserhead", "Dune"]
    assert model.predict([{"user": 1, "recommend": 2, "seen": ["Alien"]}]) == [RECOMMENDED]
    refused: list[tuple[Any, str]] = [
        (lambda: model.recommend(1, 2000), "k_out_of_range"),
        (lambda: model.recommend(object()), "not_json"),
        (lambda: model.similar("Zulu"), "unknown_item"),
        (lambda: fastmar.Model(tiny.predictor()).recommend(1), "not_a_recommender"),
    ]
    for call, code in refused:
        with pytest.raises(RecordError) as caught:
            call()
        assert caught.value.code == code


def test_the_fake_server_returns_lists(connect: Connect) -> None:
    fake = FakeServer(SCHEMA)
    with connected(connect, fake) as client:
        recommended = client.recommend("films", 1, 2, seen=["Alien"])
        similar = client.similar("films", "Brazil", 2)
        with pytest.raises(ModelNotFound):
            client.recommend("books", 1)
    jsonschema.validate(recommended, SCHEMA["recommender"]["recommend"]["answer"])
    jsonschema.validate(similar, SCHEMA["recommender"]["similar"]["answer"])
    assert [entry["item"] for entry in recommended["recommendations"]] == ["Brazil", "Casablanca"]
    assert [entry["item"] for entry in similar["similar"]] == ["Alien", "Casablanca"]
    assert fake.requests[-2].path == "/predictions/films"


def test_the_fake_server_returns_configured_lists() -> None:
    fake = FakeServer(describe(Predictor(tiny_ratings.spec(), tiny_ratings.graph()).spec))
    fake.answer("films", RECOMMENDED)
    assert fake.client().recommend("films", 1) == RECOMMENDED
