"""`generate` and `embed`: of both clients, of `fastmar.load`, and of the fake server."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import numpy as np
import pytest
from tests.client.blocking import Connect, connected
from tests.client.models import InProcess
from tests.runtime import tiny, tiny_language

import fastmar
from fastmar_client import RecordRefused
from fastmar_client.generation import continuation, embed_record, generate_record
from fastmar_client.testing import FakeServer
from fastmar_contract.errors import RecordError
from fastmar_contract.values import TEXT
from fastmar_runtime.schema import describe
from fastmar_runtime.spec import Field

SCHEMA = describe(tiny_language.spec())
COLUMNS = (Field("title", TEXT), Field("text", TEXT))
GENERATED = {"text": "it was good and it", "generated": "good and it", "warnings": []}
PROBABLE = {"min_p": 0.5}  # only the most probable token


@pytest.fixture
def server() -> InProcess:
    return InProcess(tiny_language.predictor())


def test_generate(connect: Connect, server: InProcess) -> None:
    with connected(connect, server) as client:
        assert client.generate("words", "it was", 3, **PROBABLE) == GENERATED
        assert client.generate("words", {"text": "it was"}, np.int64(3), version="1.0", **PROBABLE) == GENERATED
        assert len(client.generate("words", "it was", **PROBABLE)["generated"].split()) == 50
        options: dict[str, Any] = {"temperature": 5, "no_unk": False, "seed": 9}
        assert client.generate("words", "it", 9, **options) == client.generate("words", "it", 9, **options)
    sent = [json.loads(body) for body in server.bodies]
    assert sent[0] == {"text": "it was", "generate": 3, "temperature": 1.0, "min_p": 0.5, "no_unk": True}
    assert sent[-1] == {"text": "it", "generate": 9, **options}


def test_embed(connect: Connect, server: InProcess) -> None:
    with connected(connect, server) as client:
        answer = client.embed("words", "it it was")
    places = [tiny_language.VOCABULARY.index(word) for word in ("it", "was")]
    assert [answer["embedding"][at] for at in places] == [2, 1]
    assert sum(answer["embedding"]) == 3
    assert json.loads(server.bodies[0]) == {"text": "it it was", "embed": True}


def test_a_server_without_events_sends_one_part(connect: Connect, server: InProcess) -> None:
    with connected(connect, server) as client:
        assert list(client.stream("words", "it was", 3, **PROBABLE)) == [" good and it"]
        with pytest.raises(RecordRefused) as caught:
            list(client.stream("words", "it was", 3, temperature=0))
        assert caught.value.code == "invalid_option"


def test_refused_options(connect: Connect, server: InProcess) -> None:
    with connected(connect, server) as client:
        with pytest.raises(RecordRefused) as caught:
            client.generate("words", "it was", 1001)
        assert (caught.value.code, caught.value.field) == ("invalid_option", "generate")
        with pytest.raises(RecordRefused) as caught:
            client.embed("words", {"text": 5})
        assert caught.value.code == "not_a_text"


def test_other_models_are_refused_before_a_request(connect: Connect) -> None:
    server = InProcess(tiny.predictor())
    with connected(connect, server) as client:
        for call in (
            lambda: client.generate("tiny", "it"),
            lambda: client.embed("tiny", "it"),
            lambda: list(client.stream("tiny", "it")),
        ):
            with pytest.raises(RecordRefused) as caught:
                call()
            assert caught.value.code == "not_a_language_model"
    assert server.bodies == []


def test_wrong_types_of_names_are_refused_at_once(connect: Connect, server: InProcess) -> None:
    with connected(connect, server) as client, pytest.raises(TypeError, match="Fix: "):
        client.stream("words", "it was", version=2)  # type: ignore[arg-type]


def test_models_of_several_columns_read_records() -> None:
    schema = describe(tiny_language.spec(fields=COLUMNS))
    record = {"title": "it", "text": "was"}
    assert generate_record(schema, record, 3, seed=0)["seed"] == 0
    assert embed_record(schema, record) == {**record, "embed": True}
    with pytest.raises(RecordRefused) as caught:
        generate_record(schema, "it was", 3)
    assert caught.value.code == "not_an_object"


@pytest.mark.parametrize(
    ("text", "generated", "expected"),
    [("it was good", "good", " good"), ("good", "good", "good"), ("▁it▁was", "▁was", "▁was"), ("it ", "", "")],
)
def test_continuation(text: str, generated: str, expected: str) -> None:
    assert continuation({"text": text, "generated": generated}) == expected


def test_loaded_models_answer_like_a_server(server: InProcess) -> None:
    model = fastmar.Model(server.predictor)
    assert model.generate("it was", 3, min_p=0.5) == GENERATED
    assert sum(model.embed({"text": "it was"})["embedding"]) == 2
    assert model.predict("it was") == model.predict({"text": "it was"})
    assert model.predict(["it", "it was"]) == [model.predict("it"), model.predict("it was")]
    refused: list[tuple[Any, str]] = [
        (lambda: model.generate("it", 0), "invalid_option"),
        (lambda: model.generate("it", seed=-1), "invalid_option"),
        (lambda: model.embed({"text": object()}), "not_json"),
        (lambda: fastmar.Model(tiny.predictor()).generate("it"), "not_a_language_model"),
        (lambda: fastmar.Model(tiny.predictor()).embed("it"), "not_a_language_model"),
    ]
    for call, code in refused:
        with pytest.raises(RecordError) as caught:
            call()
        assert caught.value.code == code


def test_the_fake_server_returns_texts(connect: Connect) -> None:
    fake = FakeServer(SCHEMA)
    with connected(connect, fake) as client:
        answer = client.generate("words", "it was", 4)
        assert answer == client.generate("words", "it was", 4)
        assert ["it was", *client.stream("words", "it was", 4)] == ["it was", f" {answer['generated']}"]
        encoding = client.embed("words", "it was")
        assert "prediction" in client.predict("words", "please generate or embed")
    jsonschema.validate(answer, SCHEMA["generator"]["generate"]["answer"])
    jsonschema.validate(encoding, SCHEMA["generator"]["embed"]["answer"])
    assert len(answer["generated"].split()) == 4
    assert answer["text"] == f"it was {answer['generated']}"


def test_the_fake_server_returns_configured_texts() -> None:
    fake = FakeServer(SCHEMA)
    fake.answer("words", GENERATED)
    assert fake.client().generate("words", "it was") == GENERATED
    assert list(fake.client().stream("words", "it was")) == [" good and it"]
