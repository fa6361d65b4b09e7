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


def test_a_token(connect: Connect, scripted: Scripted) -> None:
    with connect(scripted.url, token="abc") as client:
        client.predict("m", {})
    assert scripted.seen[0].headers["authorization"] == "Bearer abc"


def test_not_both(connect: Connect, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not both"):
        connect(token="abc", key_file=tmp_path / "k")


def write_keys(path: Path, key: str, expires: str) -> None:
    path.write_text(json.dumps({"inference": {"key": key, "expiration time": expires}, "API": {"key": "x"}}))


def test_a_key_file_is_read_again_when_the_key_is_refused(connect: Connect, scripted: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "key_file.json"
    write_keys(path, "old", "2999-01-01T00:00:00.123456789Z")
    refusal = torchserve(400, "InvalidKeyException", "Token")
    scripted.reply = lambda seen: Reply(body={}) if seen.headers["authorization"] == "Bearer new" else refusal
    with connect(scripted.url, key_file=path) as client:
        with pytest.raises(Unauthorized):
            client.predict("m", {})
        write_keys(path, "new", "2999-01-01T00:00:00Z")
        assert client.predict("m", {}) == {}


def test_and_when_it_has_expired(connect: Connect, scripted: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "key_file.json"
    write_keys(path, "old", "2001-01-01T00:00:00.5Z")
    with connect(scripted.url, key_file=path) as client:
        client.predict("m", {})
        write_keys(path, "new", "2999-01-01T00:00:00Z")
        client.predict("m", {})
    assert [seen.headers["authorization"] for seen in scripted.seen] == ["Bearer old", "Bearer new"]


def test_a_file_may_hold_the_key_alone(connect: Connect, scripted: Scripted, tmp_path: Path) -> None:
    """As `fastmar serve --key-file` reads it."""
    (tmp_path / "key").write_text("abc\n")
    with connect(scripted.url, key_file=tmp_path / "key") as client:
        client.predict("m", {})
    assert scripted.seen[0].headers["authorization"] == "Bearer abc"


def test_a_file_without_a_key_for_this(connect: Connect, scripted: Scripted, tmp_path: Path) -> None:
    (tmp_path / "key_file.json").write_text('{"management": {"key": "abc"}}')
    with connect(scripted.url, key_file=tmp_path / "key_file.json") as client:
        client.predict("m", {})
    assert "authorization" not in scripted.seen[0].headers


@pytest.mark.parametrize(
    "content", [None, "", "two\nlines", "a\tb", "ü", "[]", '{"inference": {"key": "a", "expiration time": "soon"}}']
)
def test_a_file_that_is_none(connect: Connect, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "k").write_text(content)
    with connect(key_file=tmp_path / "k") as client, pytest.raises(Unauthorized, match="can't be read"):
        client.predict("m", {})


def test_one_renewal_serves_all_who_sent_the_old_key(connect: Connect, scripted: Scripted, tmp_path: Path) -> None:
    """Several requests are under way with the old key; the first that is refused reads the file for all of them."""
    path = tmp_path / "key_file.json"
    write_keys(path, "old", "2999-01-01T00:00:00Z")
    together = threading.Barrier(2)
    first_is_through = threading.Event()

    def reply(seen: Seen) -> Reply:
        if seen.headers["authorization"] == "Bearer new":
            first_is_through.set()
            return Reply(body={"prediction": seen.path})
        together.wait(30)
        if seen.path.endswith("late"):
            first_is_through.wait(30)
        return torchserve(400, "InvalidKeyException", "Token")

    scripted.reply = reply
    with connect(scripted.url, key_file=path) as client, ThreadPoolExecutor(2) as pool:
        assert client._calls.requester._keys.key() == "old"
        write_keys(path, "new", "2999-01-01T00:00:00Z")
        answers = list(pool.map(lambda model: client.predict(model, {}), ["early", "late"]))
    assert [answer["prediction"] for answer in answers] == ["/predictions/early", "/predictions/late"]


def test_a_key_that_stays_refused_is_sent_again_no_more(connect: Connect, scripted: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "key_file.json"
    write_keys(path, "old", "2999-01-01T00:00:00Z")
    scripted.replies(torchserve(400, "InvalidKeyException", "Token"))
    with connect(scripted.url, key_file=path) as client, pytest.raises(Unauthorized):
        client.predict("m", {})
    assert len(scripted.seen) == 1
