"""Generated texts and encodings from a real server, as a whole and as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from fastmar_client import Client, RecordRefused
from fastmar_runtime.predictor import Predictor
from fastmar_serving.testing import RunningServer
from tests.engines import Engine, needs
from tests.engines.calls import TIMEOUT
from tests.engines.conftest import LANGUAGE

RECORD = {"text": "The film was", "generate": 12, "temperature": 0.8, "seed": 3}
ENDLESS = {"text": "The film was", "generate": 1000}
EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def predictor(store: Path) -> Predictor:
    return Predictor.open(store / f"{LANGUAGE}.mar")


def post(server: RunningServer, record: Any, **options: Any) -> requests.Response:
    return requests.post(f"{server.url}/predictions/{LANGUAGE}", json=record, timeout=TIMEOUT, **options)


def events(response: requests.Response) -> Iterator[tuple[str | None, Any]]:
    """Name and data of each event."""
    name = None
    for line in response.iter_lines():
        if line.startswith(b"event: "):
            name = line[7:].decode()
        elif line:
            yield name, json.loads(line.removeprefix(b"data: "))


def test_a_text_and_an_encoding(server: RunningServer, predictor: Predictor) -> None:
    encode = {"text": "The film was", "embed": True}
    response = post(server, [RECORD, "The film was", encode])
    assert response.status_code == 200
    text, prediction, encoding = response.json()
    assert [text] == predictor.predict([RECORD])
    assert prediction["probabilities"]
    assert encoding["embedding"] == pytest.approx(predictor.predict([encode])[0]["embedding"], abs=1e-6)


def test_refusals(server: RunningServer) -> None:
    response = post(server, {**RECORD, "temperature": 0}, headers=EVENTS)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_option")
    assert response.headers["Content-Type"] == "application/json"
    tensors = [
        {"name": name, "shape": [1], "datatype": "BYTES", "data": [RECORD[name]]} for name in ("text", "generate")
    ]
    response = requests.post(f"{server.url}/v2/models/{LANGUAGE}/infer", json={"inputs": tensors}, timeout=TIMEOUT)
    assert response.status_code == 400
    assert "protocol v2" in response.json()["error"]


@needs("event_stream")
def test_events(server: RunningServer, predictor: Predictor) -> None:
    response = post(server, RECORD, headers=EVENTS, stream=True)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "text/event-stream")
    *parts, (name, answer) = events(response)
    assert (name, [answer]) == ("answer", predictor.predict([RECORD]))
    assert len(parts) > 1
    assert "".join(part["text"] for _, part in parts).removeprefix(" ") == answer["generated"]


def test_the_client(server: RunningServer, predictor: Predictor) -> None:
    options = {"temperature": 0.8, "seed": 3}
    [answer] = predictor.predict([RECORD])
    with Client(server.url) as client:
        assert client.generate(LANGUAGE, "The film was", 12, **options) == answer
        assert "".join(client.stream(LANGUAGE, "The film was", 12, **options)) == f" {answer['generated']}"
        assert len(client.embed(LANGUAGE, "The film was")["embedding"]) == 60
        for call in (client.generate, client.stream):
            with pytest.raises(RecordRefused) as caught:
                list(call(LANGUAGE, "The film was", 5000))
            assert caught.value.code == "invalid_option"


@needs("event_stream")
def test_other_records_are_answered_as_json(server: RunningServer) -> None:
    for record in ("The film was", [RECORD]):
        response = post(server, record, headers=EVENTS)
        assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")


@needs("event_stream")
def test_a_stream_does_not_hold_up_other_requests(engine: Engine, store: Path) -> None:
    with engine.serve(store, "--models", f"{LANGUAGE}.mar", "--workers", "1") as server:
        with post(server, ENDLESS, headers=EVENTS, stream=True) as response:
            received = events(response)
            next(received)
            assert post(server, "The film was").status_code == 200
            *_, (name, _) = received
            assert name == "answer"
        with post(server, ENDLESS, headers=EVENTS, stream=True) as response:
            next(events(response))  # then the caller leaves
        assert post(server, "The film was").status_code == 200
        with post(server, ENDLESS, headers=EVENTS, stream=True) as response:
            received = events(response)
            next(received)
            server.process.terminate()
            *_, (name, _) = received
            assert name == "answer"
        assert server.process.wait(TIMEOUT) == 0
