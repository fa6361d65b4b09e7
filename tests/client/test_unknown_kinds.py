"""A model of a kind that the client does not know: its JSON Schema is enough."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.client.blocking import Connect
from tests.client.scripted import Reply, Scripted

from fastmar_client import CsvUnreadable, RecordRefused, Schema
from fastmar_client.testing import FakeServer

TOY: dict[str, Any] = {
    "name": "toy",
    "version": "1.0",
    "kind": "toy",
    "targets": ["mood"],
    "record": {
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "stars": {"type": ["integer", "null"]},
            "loud": {"type": "boolean"},
            "tongue": {"enum": ["en", "de"]},
        },
        "required": ["text"],
    },
    "answer": {
        "type": "object",
        "properties": {
            "prediction": {"type": "string", "enum": ["good", "bad"]},
            "reasons": {"type": "array", "items": {"type": "string"}},
            "warnings": {"type": "array"},
        },
        "required": ["prediction", "reasons", "warnings"],
    },
}
NESTED = {**TOY, "record": {"properties": {"spans": {"type": "array"}}, "required": ["spans"]}}
UNDESCRIBED = {**TOY, "record": {"type": "object", "required": ["text"]}}
TEXTS = {**TOY, "record": {"type": ["string", "array"]}}


@pytest.fixture
def fake() -> FakeServer:
    return FakeServer(TOY)


def test_records_are_answered(fake: FakeServer) -> None:
    client = fake.client()
    example = fake.example("toy")
    jsonschema.validate(example, TOY["record"])
    answer = client.predict("toy", example)
    jsonschema.validate(answer, TOY["answer"])
    assert client.predict("toy", example, validate=True) == answer
    first, second = client.predict_many("toy", [example, {"text": 3}], batch_size=1)
    assert first == answer
    error = second["error"]
    assert (error["code"], error["field"], error["record"]) == ("wrong_type", "text", 1)
    assert "3" in error["message"]
    assert "string" in error["fix"]
    assert {client.predict("toy", {"text": "good" * n})["prediction"] for n in range(9)} == {"good", "bad"}


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"text": "a", "stars": None, "loud": True, "tongue": "de"}, []),
        ({"text": "a", "stars": 3.0}, []),
        ({}, [("missing_column", "text")]),
        ({"text": None}, [("wrong_type", "text")]),
        ({"text": "a", "stars": True}, [("wrong_type", "stars")]),
        ({"text": "a", "stars": 2.5, "loud": 1}, [("wrong_type", "stars"), ("wrong_type", "loud")]),
        ({"text": "a", "tongue": "fr"}, [("bad_option", "tongue")]),
        ({"text": "a", "txet": "b"}, [("extra_column", "txet")]),
        (["a"], [("not_an_object", None)]),
        ("a.txt", [("not_an_object", None)]),
        (b"a file, which only the server can check", []),
    ],
)
def test_validates_against_the_schema(record: Any, found: list[Any]) -> None:
    assert [(problem.code, problem.field) for problem in Schema(TOY).problems(record)] == found


def test_str_is_a_record_if_the_schema_allows_strings(connect: Connect, scripted: Scripted) -> None:
    scripted.reply = lambda seen: Reply(body={"prediction": "good"} if seen.body != b"" else TEXTS)
    with connect(scripted.url) as client:
        assert client.predict("toy", "a good film.jpg") == {"prediction": "good"}
    assert json.loads(scripted.seen[-1].body) == "a good film.jpg"
    assert [problem.code for problem in Schema(TEXTS).problems(3)] == ["not_an_object"]
    assert Schema(TEXTS).problems([3]) == []


def test_table_is_sent_as_json(fake: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("id,text,stars,loud,tongue\n1,NA,4,TRUE,de\n2,007,,,\n3,x,many,false,en\n")
    scored = fake.client().score_csv("toy", tmp_path / "in.csv", tmp_path / "out.csv")
    assert (scored.rows, scored.errors) == (3, 1)
    assert fake.requests[-1].headers["Content-Type"] == "application/json"
    assert fake.requests[-1].records == [
        {"text": "NA", "stars": 4, "loud": True, "tongue": "de"},
        {"text": "007"},
        {"text": "x", "stars": "many", "loud": False, "tongue": "en"},
    ]
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["prediction"] in ("good", "bad") for row in rows] == [True, True, False]
    assert "'stars'" in rows[2]["error"]
    assert "'many'" in rows[2]["error"]


def test_required_property_without_a_description() -> None:
    assert [(problem.code, problem.field) for problem in Schema(UNDESCRIBED).problems({})] == [
        ("missing_column", "text")
    ]
    assert Schema(UNDESCRIBED).problems({"text": ["of", "any", "type"]}) == []
    assert FakeServer(UNDESCRIBED).example("toy") == {"text": None}


@pytest.mark.parametrize("described", [NESTED, TEXTS])
def test_table_requires_flat_records(described: Any, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("spans\n1\n")
    client = FakeServer(described).client()
    with pytest.raises(CsvUnreadable) as caught:
        client.score_csv("toy", tmp_path / "in.csv", tmp_path / "out.csv")
    assert caught.value.code == "not_tabular"


def test_fake_server_makes_up_answers_of_any_schema(tmp_path: Path) -> None:
    part = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 5, "maximum": 7}}, "required": ["n"]}
    answer = {"type": "object", "properties": {"prediction": part, "probabilities": {"type": "array"}}}
    client = FakeServer({**TOY, "answer": answer}).client()
    received = client.predict("toy", {"text": "a"})
    jsonschema.validate(received, answer)
    assert received["prediction"]["n"] in (5, 6, 7)
    with pytest.raises(RecordRefused) as caught:
        client.predict("toy", {}, validate=True)
    assert (caught.value.code, caught.value.field) == ("missing_column", "text")
