"""`explain`: of both clients, of `fastmar.load`, and of the fake server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image
from tests.client.blocking import Connect, connected
from tests.client.models import InProcess
from tests.runtime import tiny, tiny_pictures

import fastmar
from fastmar_client import RecordRefused
from fastmar_client.testing import FakeServer
from fastmar_contract.errors import RecordError
from fastmar_runtime.schema import describe

RECORD = tiny.record()


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


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "blue.png"
    Image.new("RGB", (14, 14), "blue").save(path)
    return path


def test_pictures_are_explained(connect: Connect, file: Path) -> None:
    server = InProcess(tiny_pictures.predictor())
    with connected(connect, server) as client:
        for picture in (str(file), file, file.read_bytes(), Image.open(file)):
            answer = client.explain("colours", picture)
            assert (answer["outcome"], np.shape(answer["grid"])) == ("blue", (7, 7))
    assert fastmar.Model(tiny_pictures.predictor()).explain(file)["outcome"] == "blue"


def test_a_text_is_refused_by_a_model_of_tables(connect: Connect) -> None:
    with connected(connect, InProcess(tiny.predictor())) as client, pytest.raises(RecordRefused) as caught:
        client.explain("tiny", 7)  # type: ignore[arg-type]
    assert caught.value.code == "not_an_object"


def test_the_fake_server_explains_pictures(connect: Connect, file: Path) -> None:
    schema = describe(tiny_pictures.spec())
    with connected(connect, FakeServer(schema)) as client:
        jsonschema.validate(client.explain("colours", file), schema["explainer"]["explain"]["answer"])
