from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from tests.client.blocking import Connect
from tests.client.scripted import Reply, Scripted, Seen

from fastmar_client import RecordRefused, ServerFailed
from fastmar_client.encoding import Part, part, to_json_list
from fastmar_client.records import REQUEST_BYTES
from fastmar_client.served import SCHEMA_REQUEST

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0"


def echo_pictures(seen: Seen) -> Reply:
    """Answer each picture with its bytes, each record with itself; refuse pictures that begin with BAD."""
    if seen.headers["content-type"] == SCHEMA_REQUEST:
        return Reply(body={"name": "m", "kind": "vision"})
    if seen.headers["content-type"] != "application/json":
        return echo_picture(seen.body)
    records = json.loads(seen.body)
    if isinstance(records, dict):
        return Reply(body={"prediction": records})
    answers = [
        echo_picture(base64.b64decode(r["image"]["b64"])).body if "image" in r else {"prediction": r} for r in records
    ]
    return Reply(400 if all("error" in answer for answer in answers) else 200, answers)


def echo_picture(data: bytes) -> Reply:
    if data.startswith(b"BAD"):
        return Reply(400, {"error": {"code": "bad_image", "record": 0, "message": "no picture", "fix": "send one"}})
    return Reply(body={"prediction": data.decode("latin-1")})


def predictions(scripted: Scripted) -> list[Seen]:
    return [seen for seen in scripted.seen if seen.headers["content-type"] != SCHEMA_REQUEST]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in {"a.png": PNG + b"a", "b.jpg": JPEG + b"b", "bad.png": b"BAD"}.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.mark.parametrize("kind", [Path, str])
def test_picture_is_sent_unchanged_and_its_answer_has_its_name(
    connect: Connect, scripted: Scripted, folder: Path, kind: Any
) -> None:
    scripted.reply = echo_pictures
    with connect(scripted.url) as client:
        answer = client.predict("m", kind(folder / "a.png"))
        assert answer == {"name": "a.png", "prediction": (PNG + b"a").decode("latin-1")}
        assert client.predict("m", JPEG + b"b") == {"prediction": (JPEG + b"b").decode("latin-1")}
        assert client.predict("m", bytearray(b"BM")) == {"prediction": "BM"}
        assert client.predict("m", {"x": 1}) == {"prediction": {"x": 1}}
    types = ["image/png", "image/jpeg", "image/bmp", "application/json"]
    assert [seen.headers["content-type"] for seen in predictions(scripted)] == types
    assert predictions(scripted)[0].body == PNG + b"a"
    assert len(scripted.seen) == len(types) + (kind is str), "only a str requires the schema"


def test_name_from_the_server_takes_precedence(connect: Connect, scripted: Scripted, folder: Path) -> None:
    scripted.replies(Reply(body={"name": "other", "prediction": 1}))
    with connect(scripted.url) as client:
        assert client.predict("m", folder / "a.png") == {"name": "other", "prediction": 1}


def test_list_of_pictures_and_records_is_one_request(connect: Connect, scripted: Scripted, folder: Path) -> None:
    scripted.reply = echo_pictures
    with connect(scripted.url) as client:
        answers = client.predict("m", [folder / "b.jpg", {"x": 1}, PNG, str(folder / "bad.png")])
    assert answers[:3] == [
        {"name": "b.jpg", "prediction": (JPEG + b"b").decode("latin-1")},
        {"prediction": {"x": 1}},
        {"prediction": PNG.decode("latin-1")},
    ]
    assert answers[3]["name"] == "bad.png"
    assert answers[3]["error"]["code"] == "bad_image"
    assert len(predictions(scripted)) == 1


def test_picture_that_is_refused_or_missing(connect: Connect, scripted: Scripted, folder: Path) -> None:
    scripted.reply = echo_pictures
    with connect(scripted.url) as client:
        with pytest.raises(RecordRefused) as caught:
            client.predict("m", folder / "bad.png")
        assert caught.value.code == "bad_image"
        for path in (folder / "none.png", folder, "nul\0"):
            with pytest.raises(RecordRefused) as caught:
                client.predict("m", path)
            assert caught.value.code == "file_unreadable"
    assert len(predictions(scripted)) == 1


def test_predict_many_mixes_pictures_and_records_in_order(connect: Connect, scripted: Scripted, folder: Path) -> None:
    scripted.reply = echo_pictures
    mixed = [
        folder / "a.png",
        JPEG,
        {"x": 1},
        folder / "none.png",
        str(folder / "bad.png"),
        {"x": {2}},
        folder / "b.jpg",
    ]
    for batch_size in (1, 2, 3, 64):
        with connect(scripted.url) as client:
            answers = list(client.predict_many("m", mixed, batch_size=batch_size))
        assert [answer.get("name") for answer in answers] == ["a.png", None, None, None, "bad.png", None, "b.jpg"]
        codes = [answer.get("error", {}).get("code") for answer in answers]
        assert codes == [None, None, None, "file_unreadable", "bad_image", "not_json", None]
        assert [answer["error"]["record"] for answer in answers if "error" in answer] == [3, 4, 5]
        assert answers[6]["prediction"] == (JPEG + b"b").decode("latin-1")
    with connect(scripted.url) as client, pytest.raises(RecordRefused) as caught:
        list(client.predict_many("m", mixed, on_error="raise"))
    assert caught.value.code == "file_unreadable"
    assert "record 3" in caught.value.message


def test_request_size_is_limited_and_a_large_picture_is_sent_alone(connect: Connect, scripted: Scripted) -> None:
    scripted.reply = echo_pictures
    pictures = [PNG + bytes([65 + i]) * size for i, size in enumerate([900_000] * 8 + [5_000_000] + [10] * 3)]
    with connect(scripted.url) as client:
        answers = list(client.predict_many("m", pictures, concurrency=1))
    assert [answer["prediction"][-1] for answer in answers] == [chr(65 + i) for i in range(12)]
    sizes = [len(seen.body) for seen in scripted.seen]
    assert [len(json.loads(seen.body)) for seen in scripted.seen if seen.body[:1] == b"["] == [3, 3, 2, 3]
    assert sorted(sizes)[-1] == 5_000_000 + len(PNG)
    assert sorted(sizes)[-2] <= REQUEST_BYTES


@pytest.mark.parametrize("text", ["good film", "photos/cat.jpg", ""])
def test_refuses_a_str_for_a_model_of_records(connect: Connect, scripted: Scripted, text: str) -> None:
    scripted.replies(Reply(body={"name": "reviews", "kind": "tabular", "record": {}}))
    with connect(scripted.url) as client:
        for _ in range(2):
            with pytest.raises(RecordRefused) as caught:
                client.predict("reviews", text)
            assert (caught.value.code, caught.value.model) == ("not_an_object", "reviews")
            assert repr(text) in caught.value.message
        [answer] = client.predict("reviews", [text])
        assert (answer["error"]["code"], answer["error"]["record"]) == ("not_an_object", 0)
    assert len(scripted.seen) == 1, "only the schema is requested"


def test_str_for_a_server_without_a_schema(connect: Connect, scripted: Scripted) -> None:
    scripted.replies(Reply(body=["no schema"]))
    with connect(scripted.url) as client, pytest.raises(ServerFailed) as caught:
        client.predict("m", "photos/cat.jpg")
    assert caught.value.code == "no_schema"


@pytest.mark.parametrize("data", [b"", b"a", b"ab", b"abc" * 1000])
@pytest.mark.parametrize("name", [None, "é.png", "a" * 300])
def test_size_of_a_part_is_an_upper_bound(data: bytes, name: str | None) -> None:
    each = Part(data, "image/png", name)
    assert len(each.as_json()) + 1 <= each.size
    [record] = json.loads(to_json_list([each]))
    assert base64.b64decode(record["image"]["b64"]) == data
    assert record.get("name") == name


def test_media_types_of_files() -> None:
    media_types = {
        b"GIF89a": "image/gif",
        b"RIFF0000WEBPVP8": "image/webp",
        b"RIFF0000WAVE": "application/octet-stream",
        b"MM\0*": "image/tiff",
        b"": "application/octet-stream",
    }
    assert {data: part(data).media_type for data in media_types} == media_types
    assert part({"x": 1}).media_type == "application/json"
