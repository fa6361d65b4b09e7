from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.client.blocking import Connect
from tests.client.scripted import Reply, Scripted, Seen, torchserve

from fastmar_client import (
    Unauthorized,
)


def test_token_is_sent(connect: Connect, scripted: Scripted) -> None:
    with connect(scripted.url, token="abc") as client:
        client.predict("m", {})
    assert scripted.seen[0].headers["authorization"] == "Bearer abc"


def test_refuses_token_and_key_file(connect: Connect, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="key_file"):
        connect(token="abc", key_file=tmp_path / "k")


def write_keys(path: Path, key: str, expires: str) -> None:
    path.write_text(json.dumps({"inference": {"key": key, "expiration time": expires}, "API": {"key": "x"}}))


def test_key_file_is_read_again_if_the_key_is_refused(connect: Connect, scripted: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "key_file.json"
    write_keys(path, "old", "2999-01-01T00:00:00.123456789Z")
    refusal = torchserve(400, "InvalidKeyException", "Token")
    scripted.reply = lambda seen: Reply(body={}) if seen.headers["authorization"] == "Bearer new" else refusal
    with connect(scripted.url, key_file=path) as client:
        with pytest.raises(Unauthorized):
            client.predict("m", {})
        write_keys(path, "new", "2999-01-01T00:00:00Z")
        assert client.predict("m", {}) == {}


def test_a_missing_key_names_the_arguments(connect: Connect, scripted: Scripted) -> None:
    error = {"code": "unauthorized", "message": "the request has no valid key.", "fix": "send the header."}
    scripted.reply = lambda _: Reply(401, {"error": error})
    with connect(scripted.url) as client, pytest.raises(Unauthorized) as caught:
        client.predict("m", {})
    assert caught.value.code == "unauthorized"
    assert "key_file=" in caught.value.fix


def test_key_file_is_read_again_if_the_key_is_expired(connect: Connect, scripted: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "key_file.json"
    write_keys(path, "old", "2001-01-01T00:00:00.5Z")
    with connect(scripted.url, key_file=path) as client:
        client.predict("m", {})
        write_keys(path, "new", "2999-01-01T00:00:00Z")
        client.predict("m", {})
    assert [seen.headers["authorization"] for seen in scripted.seen] == ["Bearer old", "Bearer new"]


def test_key_file_may_be_a_text(connect: Connect, scripted: Scripted, tmp_path: Path) -> None:
    """Like the file of `fastmar serve --key-file`."""
    with connect(scripted.url, key_file=tmp_path / "key") as client:
        for text in ("abc\n", "# a comment\n\nabc\ndef\n"):
            (tmp_path / "key").write_text(text)
            client.predict("m", {})
            assert scripted.seen.pop().headers["authorization"] == "Bearer abc"


def test_key_file_without_an_inference_key(connect: Connect, scripted: Scripted, tmp_path: Path) -> None:
    (tmp_path / "key_file.json").write_text('{"management": {"key": "abc"}}')
    with connect(scripted.url, key_file=tmp_path / "key_file.json") as client:
        client.predict("m", {})
    assert "authorization" not in scripted.seen[0].headers


@pytest.mark.parametrize(
    "content", [None, "", "# no key\n", "a\tb", "ü", "[]", '{"inference": {"key": "a", "expiration time": "soon"}}']
)
def test_refuses_an_invalid_key_file(connect: Connect, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "k").write_text(content)
    with connect(key_file=tmp_path / "k") as client, pytest.raises(Unauthorized) as caught:
        client.predict("m", {})
    assert caught.value.code == "key_file_unreadable"


def test_concurrent_requests_share_one_refresh(connect: Connect, scripted: Scripted, tmp_path: Path) -> None:
    """Two requests are sent with the old key; the first refusal reads the file for both."""
    path = tmp_path / "key_file.json"
    write_keys(path, "old", "2999-01-01T00:00:00Z")
    together = threading.Barrier(2)
    first_is_answered = threading.Event()

    def reply(seen: Seen) -> Reply:
        if seen.headers["authorization"] == "Bearer new":
            first_is_answered.set()
            return Reply(body={"prediction": seen.path})
        together.wait(30)
        if seen.path.endswith("late"):
            first_is_answered.wait(30)
        return torchserve(400, "InvalidKeyException", "Token")

    scripted.reply = reply
    with connect(scripted.url, key_file=path) as client, ThreadPoolExecutor(2) as pool:
        assert client._calls.requester._keys.key() == "old"
        write_keys(path, "new", "2999-01-01T00:00:00Z")
        answers = list(pool.map(lambda model: client.predict(model, {}), ["early", "late"]))
    assert [answer["prediction"] for answer in answers] == ["/predictions/early", "/predictions/late"]


def test_no_retry_if_the_key_file_is_unchanged(connect: Connect, scripted: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "key_file.json"
    write_keys(path, "old", "2999-01-01T00:00:00Z")
    scripted.replies(torchserve(400, "InvalidKeyException", "Token"))
    with connect(scripted.url, key_file=path) as client, pytest.raises(Unauthorized):
        client.predict("m", {})
    assert len(scripted.seen) == 1
