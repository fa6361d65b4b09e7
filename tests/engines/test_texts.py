"""Texts to a real server, in all formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastmar_client import Client
from fastmar_runtime.predictor import Predictor
from fastmar_serving.testing import RunningServer
from tests.engines.conftest import TEXTS as NAME
from tests.engines.test_http import post
from tests.engines.test_pictures import assert_same

TEXT = "The film was GREAT, I didn't like the plot \u2013 caf\u00e9!!!"


@pytest.fixture(scope="module")
def url(server: RunningServer) -> str:
    return f"{server.url}/predictions/{NAME}"


@pytest.fixture(scope="module")
def predictor(store: Path) -> Predictor:
    return Predictor.open(store / f"{NAME}.mar")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (TEXT.encode(), "text/plain"),
        (TEXT.encode("utf-16"), "text/plain; charset=utf-16"),
        (json.dumps(TEXT).encode(), "application/json"),
        (json.dumps({"text": TEXT}).encode(), "application/json"),
    ],
)
def test_one_text(url: str, predictor: Predictor, body: bytes, content_type: str) -> None:
    [expected] = predictor.predict([TEXT])
    response = post(url, body, content_type)
    assert response.status_code == 200, response.text
    assert_same([response.json()], [expected])


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (json.dumps([TEXT, {"text": "bad"}, ""]).encode(), "application/json"),
        (json.dumps({"text": [TEXT, "bad", ""]}).encode(), "application/json"),
        (f'text,other\n"{TEXT}",1\nbad,2\n"",3\n'.encode(), "text/csv"),
        (b"".join(json.dumps(text).encode() + b"\n" for text in (TEXT, "bad", "")), "application/jsonlines"),
    ],
)
def test_several_texts(url: str, predictor: Predictor, body: bytes, content_type: str) -> None:
    response = post(url, body, content_type)
    assert response.status_code == 200, response.text
    is_lines = content_type == "application/jsonlines"
    answers = [json.loads(line) for line in response.text.splitlines()] if is_lines else response.json()
    assert_same([{**answer, "warnings": []} for answer in answers], predictor.predict([TEXT, "bad", ""]))


def test_texts_of_all_lengths_in_one_request(url: str, predictor: Predictor) -> None:
    texts = ["great film " * count for count in (1, 400, 3, 90, 0, 2_000, 40)]
    answers = post(url, json.dumps({"instances": texts}).encode()).json()["predictions"]
    assert_same(answers, [predictor.predict([text])[0] for text in texts])


def test_values_that_are_not_texts(url: str) -> None:
    answers = post(url, json.dumps([{"text": 5}, {"text": None}, {"title": "x"}, 7, "fine"]).encode()).json()
    codes = [answer.get("error", {}).get("code") for answer in answers]
    assert codes == ["not_a_text", "not_a_text", "missing_column", "not_an_object", None]


def test_protocol_v2(server: RunningServer, predictor: Predictor) -> None:
    tensor = {"name": "text", "shape": [2], "datatype": "BYTES", "data": [TEXT, "bad"]}
    reply = post(f"{server.url}/v2/models/{NAME}/infer", json.dumps({"inputs": [tensor]}).encode()).json()
    outputs = {output["name"]: output["data"] for output in reply["outputs"]}
    assert outputs["prediction"] == [answer["prediction"] for answer in predictor.predict([TEXT, "bad"])]


def test_client(server: RunningServer, predictor: Predictor) -> None:
    with Client(server.url) as client:
        assert_same([client.predict(NAME, TEXT)], predictor.predict([TEXT]))
        assert_same([client.predict(NAME, {"text": TEXT}, validate=True)], predictor.predict([TEXT]))
        assert_same(client.predict(NAME, [TEXT, "bad"]), predictor.predict([TEXT, "bad"]))
