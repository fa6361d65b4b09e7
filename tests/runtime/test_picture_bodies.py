"""Requests with pictures: bodies, forms and JSON, and the format of their answers."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from fastmar_contract.errors import RequestError
from fastmar_runtime import payload
from tests.runtime import tiny
from tests.runtime import tiny_pictures as pictures

SPEC = pictures.spec()
RED, BLUE = pictures.picture("red"), pictures.picture("blue")
RECORD = {"image": {"b64": pictures.b64(RED)}}


def answer_to(body: Any, content_type: str | None = None, parts: Any = None) -> tuple[int, Any]:
    request = payload.read(body, content_type, SPEC, parts)
    response = payload.write(request, pictures.predictor().predict(request.records), SPEC)
    lines = response.content_type == payload.LINES_TYPE
    return response.status, [orjson.loads(x) for x in response.body.splitlines()] if lines else orjson.loads(
        response.body
    )


@pytest.mark.parametrize(
    "content_type", ["image/png", "image/jpeg", "application/x-image", "application/octet-stream", None]
)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_a_picture_as_the_body(content_type: str | None, kind: Any) -> None:
    status, answer = answer_to(kind(RED), content_type)
    assert (status, answer["prediction"]) == (200, "red")


def test_a_picture_with_a_wrong_content_type_is_detected_by_its_signature() -> None:
    assert answer_to(RED, "application/json")[1]["prediction"] == "red"


def test_other_content_with_a_pictures_content_type() -> None:
    status, answer = answer_to(b"hello", "image/png")
    assert (status, answer["error"]["code"]) == (400, "not_a_picture")


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (RECORD, None),
        ([RECORD, RECORD], 2),
        ({"instances": [RECORD, {"b64": pictures.b64(BLUE)}, pictures.b64(RED)]}, 3),
        ({"instances": []}, 0),
    ],
)
def test_json(body: Any, count: int | None) -> None:
    for content in (body, orjson.dumps(body)):
        status, answer = answer_to(content, "application/json")
        assert status == 200
        rows = answer["predictions"] if isinstance(answer, dict) and "predictions" in answer else answer
        assert (rows["prediction"] == "red") if count is None else (len(rows) == count)


def test_json_lines() -> None:
    body = orjson.dumps(RECORD) + b"\n" + orjson.dumps({"image": pictures.b64(BLUE), "name": "b"}) + b"\nno json\n"
    status, rows = answer_to(body, "application/jsonlines")
    assert status == 200
    assert [row.get("prediction") for row in rows] == ["red", "blue", None]


def test_protocol_v2() -> None:
    data = [pictures.b64(RED), pictures.b64(BLUE)]
    body = {"inputs": [{"name": "image", "shape": [2], "datatype": "BYTES", "data": data}]}
    status, answer = answer_to(body)
    assert status == 200
    assert answer["outputs"][0]["data"] == ["red", "blue"]


def form(parts: Any) -> tuple[int, Any]:
    request = payload.read_form(parts, SPEC)
    response = payload.write(request, pictures.predictor().predict(request.records), SPEC)
    return response.status, orjson.loads(response.body)


def test_files_of_a_form_are_answered_in_order_with_names() -> None:
    parts = {"b.png": bytearray(BLUE), "bad.txt": bytearray(b"hello"), "a.png": bytearray(RED), "note": "a text"}
    status, rows = form(parts)
    assert status == 200
    assert [row["name"] for row in rows] == ["b.png", "bad.txt", "a.png"]
    assert [row.get("prediction") for row in rows] == ["blue", None, "red"]
    assert "'bad.txt'" in rows[1]["error"]["message"]
    assert rows[1]["error"]["record"] == 1


def test_a_form_with_one_file_has_one_answer() -> None:
    status, answer = form({"a.png": bytearray(RED), "model_name": bytearray(b"colours")})
    assert (status, answer["name"], answer["prediction"]) == (200, "a.png", "red")


def test_a_form_with_only_invalid_pictures() -> None:
    assert form({"a": bytearray(b"x"), "b": bytearray(b"")})[0] == 400


@pytest.mark.parametrize("parts", [{}, {"note": "text"}, {"mask_size": "original"}, {"model_name": bytearray(b"m")}])
def test_a_form_without_a_picture(parts: Any) -> None:
    with pytest.raises(RequestError) as caught:
        payload.read_form(parts, SPEC)
    assert caught.value.code == "bad_request"
    assert "picture" in caught.value.message


@pytest.mark.parametrize("value", ["original", bytearray(b"original"), b" original\n"])
def test_the_size_of_masks_in_a_form_or_a_query(value: Any) -> None:
    records = payload.read_form({"a": bytearray(RED), "mask_size": value}, SPEC).records
    assert [record.mask_size for record in records] == ["original"]
    records = payload.read(RED, None, SPEC, {"mask_size": value}).records
    assert [record.mask_size for record in records] == ["original"]


@pytest.mark.parametrize("value", ["huge", b"", b"\xff\xfe", 3, None, []])
def test_an_invalid_size_of_masks(value: Any) -> None:
    with pytest.raises(RequestError):
        payload.read_form({"a": bytearray(RED), "mask_size": value}, SPEC)


def test_a_table_model_refuses_pictures() -> None:
    with pytest.raises(RequestError):
        payload.read_form({"a": bytearray(RED)}, tiny.spec())
    with pytest.raises(RequestError):
        payload.read(RED, "image/png", tiny.spec())


def test_unfinished_json() -> None:
    with pytest.raises(RequestError) as caught:
        payload.read(b"[", None, SPEC)
    assert "JSON" in caught.value.fix


@pytest.mark.parametrize("body", [b"", b"hello", "text", 3, None, True])
def test_bodies_that_are_neither_picture_nor_json(body: Any) -> None:
    with pytest.raises(RequestError) as caught:
        payload.read(body, None, SPEC)
    assert "picture" in caught.value.fix
