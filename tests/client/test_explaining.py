"""`explain`: of both clients, of `fastmar.load`, and of the fake server."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from tests.client.blocking import Connect
from tests.client.models import InProcess
from tests.runtime import tiny

import fastmar
from fastmar_client import Client, RecordRefused
from fastmar_client.testing import FakeServer, _AsyncFake
from fastmar_contract.errors import RecordError
from fastmar_runtime.schema import describe

RECORD = tiny.record()


def connected(connect: Connect, transport: Any) -> Client:
    """A client of the transport."""
    return connect(transport=transport if connect is Client else _AsyncFake(transport))


def test_explain_sends_the_record_with_the_option(connect: Connect) -> None:
    server = InProcess(tiny.predictor())
    with connected(connect, server) as client:
        answer = client.explain("tiny", RECORD)
        prediction = client.predict("tiny", RECORD)
    assert json.loads(server.bodies[0]) == {**RECORD, "explain": True}
    assert answer["outcome"] == prediction["prediction"]
    assert answer["value"] == pytest.approx(prediction["probabilities"][prediction["prediction"]])
    assert {column["column"] for column in answer["columns"]} == RECORD.keys()


def test_other_models_are_refused_before_a_request(connect: Connect) -> None:
    server = InProcess(tiny.predictor(decode=tiny.MULTI_DECODER))
    with connected(connect, server) as client, pytest.raises(RecordRefused) as caught:
        client.explain("tiny", RECORD)
    assert caught.value.code == "not_explained"
    assert server.bodies == []


def test_an_invalid_record_is_refused_at_its_column(connect: Connect) -> None:
    with connected(connect, InProcess(tiny.predictor())) as client, pytest.raises(RecordRefused) as caught:
        client.explain("tiny", tiny.record(hours="many"))
    assert caught.value.field == "hours"


def test_a_loaded_model_explains_like_a_server() -> None:
    model = fastmar.Model(tiny.predictor())
    [expected] = tiny.predictor().predict([{**RECORD, "explain": True}])
    assert model.explain(RECORD) == expected
    with pytest.raises(RecordError) as caught:
        fastmar.Model(tiny.predictor(decode=tiny.RAW_DECODER)).explain(RECORD)
    assert caught.value.code == "not_explained"


@pytest.mark.parametrize("decode", [tiny.CATEGORY_DECODER, tiny.ONE_NUMBER_DECODER])
def test_the_fake_server_explains(connect: Connect, decode: Any) -> None:
    schema = describe(tiny.spec(decode=decode))
    with connected(connect, FakeServer(schema)) as client:
        answer = client.explain("tiny", RECORD)
        assert {column["column"] for column in answer["columns"]} == RECORD.keys()
        jsonschema.validate(answer, schema["explainer"]["explain"]["answer"])
        with pytest.raises(RecordRefused):
            client.explain("tiny", tiny.record(hours="many"))
