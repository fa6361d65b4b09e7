"""The fake server: its answers fit the schema, and its failures are configurable."""

from __future__ import annotations

import base64
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from PIL import Image
from tests.client.models import people
from tests.runtime import tiny

from fastmar_client import (
    Client,
    ModelNotFound,
    RecordRefused,
    Retries,
    Schema,
    ServerFailed,
    ServerUnreachable,
    Timeout,
)
from fastmar_client.picture_checks import find_problem
from fastmar_client.testing import FakeServer
from fastmar_contract.values import NUMBER
from fastmar_runtime.csv_records import read_csv
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.schema import describe
from fastmar_runtime.spec import Field

MODELS: dict[str, dict[str, Any]] = {
    "one label": {},
    "several labels": {"decode": tiny.MULTI_DECODER},
    "a number": {"decode": tiny.ONE_NUMBER_DECODER},
    "several numbers": {"decode": tiny.TWO_NUMBERS_DECODER, "targets": ("a", "b")},
    "many labels": {
        "decode": {"decoder": "category", "vocab": [f"l{i}" for i in range(200)], "activation": "softmax", "top": 10}
    },
}


@pytest.fixture
def fake(adult_schema: Any) -> FakeServer:
    return FakeServer(adult_schema)


@pytest.mark.parametrize("name", MODELS)
def test_answers_fit_the_schema(name: str) -> None:
    schema = describe(tiny.spec(**MODELS[name]))
    fake = FakeServer(schema)
    client = fake.client()
    example = fake.example("tiny")
    jsonschema.validate(example, schema["record"])
    answer = client.predict("tiny", example)
    jsonschema.validate(answer, schema["answer"])
    assert answer["warnings"] == []
    assert client.predict("tiny", example) == answer
    assert len({json.dumps(client.predict("tiny", tiny.record(age=age))) for age in range(5)}) > 1


def test_model_answers_the_example_without_warnings(predictor: Predictor, fake: FakeServer) -> None:
    [answer] = predictor.predict([fake.example("adult")])
    assert answer["warnings"] == []
    dated = FakeServer(describe(tiny.date_spec()))
    [answer] = Predictor(tiny.date_spec(), tiny.date_graph()).predict([dated.example("tiny")])
    assert "error" not in answer
    spec = tiny.date_spec()
    spec = replace(spec, fields=(*spec.fields, Field("hours", NUMBER, default=3.0)))
    beside = FakeServer(describe(spec))
    assert "hours" in beside.example("tiny")
    assert beside.client().predict("tiny", beside.example("tiny"))["warnings"] == []


def test_refuses_what_the_model_refuses(predictor: Predictor, fake: FakeServer) -> None:
    good = fake.example("adult")
    records = [good, {**good, "age": "old"}, {"age": 3}, {**good, "workclass": "x", "extra": 1}]
    fakes, reals = fake.client().predict("adult", records), predictor.predict(records)
    for answer, real in zip(fakes, reals, strict=True):
        first_fault = {**real["error"], **real["error"].get("errors", [{}])[0]} if "error" in real else {}
        first_fault.pop("errors", None)  # the fake server reports only the first fault
        assert answer.get("error", {}) == first_fault
    assert [{w["code"] for w in a.get("warnings", ())} for a in fakes] == [
        {w["code"] for w in a.get("warnings", ())} for a in reals
    ]
    with pytest.raises(RecordRefused) as caught:
        fake.client().predict("adult", records[1])
    assert (caught.value.code, caught.value.field) == ("not_a_number", "age")


def test_configured_answers(fake: FakeServer) -> None:
    client, record = fake.client(), fake.example("adult")
    fake.answer("adult", {"prediction": "yes"})
    assert client.predict("adult", record) == {"prediction": "yes", "warnings": []}
    fake.answer("adult", lambda record: {"prediction": record["age"]})
    assert [a["prediction"] for a in client.predict("adult", [{"age": 1}, {"age": 2}])] == [1, 2]
    fake.answer("adult", {"error": {"code": "bad", "message": "no", "fix": "f"}})
    with pytest.raises(RecordRefused) as caught:
        client.predict("adult", record)
    assert caught.value.code == "bad"


def test_requests_are_recorded(fake: FakeServer) -> None:
    fake.client(token="abc").predict("adult", [{"age": 1}], version="1.0")
    [request] = fake.requests
    assert (request.method, request.path, request.records) == ("POST", "/predictions/adult/1.0", [{"age": 1}])
    assert request.headers["Authorization"] == "Bearer abc"


def test_failures(fake: FakeServer) -> None:
    client, record = fake.client(), fake.example("adult")
    for fail, error in (
        (lambda: fake.fail(503, "no"), ServerFailed),
        (fake.time_out, Timeout),
        (fake.break_connections, ServerUnreachable),
    ):
        fail()
        for _ in range(2):
            with pytest.raises(error):
                client.predict("adult", record)
        fake.recover()
        assert client.predict("adult", record)
    fake.fail(times=1)
    with pytest.raises(ServerFailed) as caught:
        fake.client(retries=Retries(attempts=1)).predict("adult", record)
    assert caught.value.status == 500
    fake.fail(times=3)
    assert client.predict("adult", record), "the client retries"
    fake.break_connections(times=3)
    assert client.predict("adult", record), "the client makes four attempts"
    fake.break_connections(times=4)
    with pytest.raises(ServerUnreachable):
        fake.client().predict("adult", record)
    fake.break_connections(times=11)
    assert client.predict("adult", record), "the server has answered before: it makes twelve attempts"
    fake.break_connections(times=12)
    with pytest.raises(ServerUnreachable):
        client.predict("adult", record)


def test_readiness_and_models(fake: FakeServer) -> None:
    client = fake.client()
    client.wait_until_ready("adult", timeout=0.1)
    fake.ready = False
    with pytest.raises(Timeout) as caught:
        client.wait_until_ready("adult", timeout=0.1)
    assert isinstance(caught.value.__cause__, ServerFailed)
    assert caught.value.__cause__.status == 503
    assert client.models() == [{"name": "adult", "version": "1.0", "versions": ["1.0"], "ready": False}]
    with pytest.raises(ServerFailed):
        client.predict("adult", fake.example("adult"))
    with pytest.raises(ModelNotFound):
        client.predict("nobody", {})
    with pytest.raises(ModelNotFound):
        client.predict("adult", {}, version="9.9")


def test_versions(adult_schema: Any) -> None:
    fake = FakeServer(adult_schema, {**adult_schema, "version": "2.0"})
    assert fake.client().models()[0]["versions"] == ["1.0", "2.0"]
    assert fake.client().schema("adult")["version"] == "2.0"
    assert fake.client().schema("adult", "1.0")["version"] == "1.0"


def test_schema_may_be_a_file_or_an_archive(adult: Path, adult_schema: Any, tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(json.dumps(adult_schema))
    for source in (adult, str(adult), tmp_path / "schema.json"):
        assert FakeServer(source).client().schema("adult") == adult_schema


def test_supports_all_methods_of_the_client(fake: FakeServer, tmp_path: Path) -> None:
    client = fake.client()
    frame = people(50).drop(columns="salary")
    answers = client.predict("adult", frame)
    assert list(client.predict_many("adult", frame, batch_size=7)) == answers
    assert client.predict("adult", fake.example("adult"), validate=True)
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert client.score_csv("adult", tmp_path / "t.csv", tmp_path / "out.csv").errors == 0
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 51
    lines = b'{"age": 1}\n{"age": 2}\n'
    assert [a["error"]["record"] for a in client.predict_body("adult", lines, "application/jsonlines")] == [0, 1]
    instances = json.dumps({"instances": [fake.example("adult")]}).encode()
    assert "prediction" in client.predict_body("adult", instances, "application/json")[0]
    with pytest.raises(RecordRefused):
        client.predict_body("adult", b"{", "application/json")


class TestPictures:
    @pytest.mark.parametrize("kind", ["label", "mask", "points"])
    def test_answers(self, kind: str, tmp_path: Path) -> None:
        from tests.runtime import tiny_pictures

        spec = {"label": {}, "mask": {"decode": tiny_pictures.MASK}, "points": {"decode": tiny_pictures.POINTS}}
        pytest.importorskip("PIL")
        schema = describe(tiny_pictures.spec(**spec[kind]))
        fake = FakeServer(schema)
        client: Client = fake.client()
        example = fake.example(schema["name"])
        assert Image.open(io.BytesIO(base64.b64decode(example["image"]["b64"]))).size == (8, 8)
        (tmp_path / "a.png").write_bytes(base64.b64decode(example["image"]["b64"]))
        for picture in (example, tmp_path / "a.png", (tmp_path / "a.png").read_bytes()):
            jsonschema.validate(client.predict(schema["name"], picture), schema["answer"])
        named = client.predict(schema["name"], [tmp_path / "a.png", {"image": 3, "name": "b"}])
        assert [answer["name"] for answer in named] == ["a.png", "b"]
        assert named[1]["error"]["code"] == "not_a_picture"

    def test_refuses_the_files_that_the_model_refuses(self) -> None:
        from tests.runtime import tiny_pictures

        model = Predictor(tiny_pictures.spec(), tiny_pictures.graph())
        file = io.BytesIO()
        Image.effect_noise((64, 64), 50).save(file, "JPEG")
        whole = file.getvalue()
        files: list[Any] = [whole, b"", b"hello", whole[: len(whole) // 2], b"\xff\xd8\xff broken"]
        texts = [{"image": {"b64": base64.b64encode(data).decode()}} for data in files]
        records = [*texts, {"image": "%%%"}, {"b64": base64.urlsafe_b64encode(whole).decode()}, {"image": {"b64": 3}}]
        client = FakeServer(describe(model.spec)).client()
        for sent in (files, records):
            answers, real = client.predict(model.spec.name, sent), model.predict(sent)
            codes = [answer.get("error", {}).get("code") for answer in answers]
            assert codes == [answer.get("error", {}).get("code") for answer in real]
            assert codes[0] is None
            assert codes[1:4] == ["empty_picture", "not_a_picture", "damaged_picture"]

    def test_checks_the_signature_without_pillow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "PIL", None)
        assert find_problem(b"\xff\xd8\xff broken") is None
        problem = find_problem(b"hello")
        assert problem is not None
        assert problem.code == "not_a_picture"


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e300", "1e400", "nan", "40"])
def test_refuses_numbers_in_a_table_like_the_model(cell: str) -> None:
    model = tiny.predictor()
    body = f"workclass,grade,vip,age,hours\n Private,7,True,{cell},40\n"
    [answer] = model.predict(read_csv(body, model.spec.fields))
    [fake_answer] = FakeServer(describe(model.spec)).client().predict_body("tiny", body.encode(), "text/csv")
    assert fake_answer.get("error") == answer.get("error")


def test_refuses_tables_like_the_server(fake: FakeServer) -> None:
    client = fake.client()
    schema = Schema(client.schema("adult"))
    header = ",".join(schema.required)
    row = ",".join(str(fake.example("adult")[name]) for name in schema.required)
    answers = client.predict_body("adult", f"{header}\n{row}\n1\n{row}\n".encode(), "text/csv")
    assert [answer.get("error", {}).get("code") for answer in answers] == [None, "ragged_row", None]
    for table, code in ((b"x,y\n1,2\n", "no_header"), (f"{header}\n".encode(), "no_rows")):
        with pytest.raises(RecordRefused) as caught:
            client.predict_body("adult", table, "text/csv")
        assert caught.value.code == code
