from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections import UserDict
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas
import pytest
from tests.client.blocking import Connect
from tests.client.scripted import Reply, Scripted, echo, torchserve

from fastmar_client import (
    ServerFailed,
    Timeout,
    Unauthorized,
)


def test_one_record(connect: Connect, scripted: Scripted) -> None:
    scripted.reply = echo
    with connect(scripted.url + "/") as client:
        assert client.predict("a b", {"x": 1}, version="1.0") == {"prediction": {"x": 1}}
    (seen,) = scripted.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/predictions/a%20b/1.0", b'{"x":1}')
    assert seen.headers["content-type"] == "application/json"
    assert "authorization" not in seen.headers


@pytest.mark.parametrize("kind", [MappingProxyType, UserDict])
def test_any_mapping_is_a_record(connect: Connect, scripted: Scripted, kind: Any) -> None:
    """Not a list of pictures, whose paths would be its keys."""
    scripted.reply = echo
    record = kind({"x": 1, "y": float("nan"), "z": kind({"a": 2})})
    sent = {"x": 1, "y": None, "z": {"a": 2}}
    with connect(scripted.url) as client:
        assert client.predict("m", record) == {"prediction": sent}
        assert client.predict("m", [record]) == list(client.predict_many("m", [record])) == [{"prediction": sent}]
        with pytest.raises(TypeError, match="no list of records"):
            client.predict_many("m", record)


def test_a_list(connect: Connect, scripted: Scripted) -> None:
    scripted.reply = echo
    with connect(scripted.url) as client:
        assert client.predict("m", ({"x": i} for i in range(2)))[1] == {"prediction": {"x": 1}}  # type: ignore[call-overload]


def test_a_list_of_which_none_can_be_scored_comes_back_in_place(connect: Connect, scripted: Scripted) -> None:
    errors = [{"code": "missing_field", "field": "age", "record": place} for place in range(2)]
    answers = [{"error": error} for error in errors]
    scripted.replies(Reply(400, answers))
    with connect(scripted.url) as client:
        assert client.predict("m", [{}, {}]) == answers


@pytest.mark.parametrize(
    ("reply", "answers"),
    [
        (Reply(body={"predictions": [{"a": 1}]}), [{"a": 1}]),
        (Reply(body={"prediction": 1}), [{"prediction": 1}]),
        (
            Reply(body=b'{"a":1}\n{"a":2}\n', headers={"Content-Type": "application/jsonlines"}),
            [{"a": 1}, {"a": 2}],
        ),
    ],
)
def test_a_body_as_it_is(connect: Connect, scripted: Scripted, reply: Reply, answers: list[Any]) -> None:
    scripted.replies(reply)
    with connect(scripted.url) as client:
        assert client.predict_body("m", b"age\n1\n", "text/csv") == answers
    assert (scripted.seen[0].body, scripted.seen[0].headers["content-type"]) == (b"age\n1\n", "text/csv")


def test_schema(connect: Connect, scripted: Scripted) -> None:
    scripted.replies(Reply(body={"title": "m"}))
    with connect(scripted.url) as client:
        assert client.schema("m") == client.schema("m", "1.0") == {"title": "m"}
    unknown, known = scripted.seen
    assert (unknown.method, unknown.path) == ("POST", "/predictions/m")
    assert unknown.headers["content-type"] == "application/schema-request+json"
    assert (known.method, known.path) == ("GET", "/predictions/m/1.0/schema")


def test_models(connect: Connect, scripted: Scripted) -> None:
    details = [{"name": "a", "version": "2.0", "versions": ["1.0", "2.0"], "ready": True}]
    scripted.replies(Reply(body={"models": ["a"], "details": details}))
    with connect(scripted.url, token="abc") as client:
        assert client.models() == details
    assert (scripted.seen[0].method, scripted.seen[0].path) == ("GET", "/v1/models")
    assert scripted.seen[0].headers["authorization"] == "Bearer abc"


@pytest.mark.parametrize("body", [{"models": ["a"]}, ["a"]])
def test_a_server_that_lists_no_models(connect: Connect, scripted: Scripted, body: Any) -> None:
    scripted.replies(Reply(body=body))
    with connect(scripted.url) as client, pytest.raises(ServerFailed, match="no list of its models"):
        client.models()


class TestWaitUntilReady:
    def test_until_it_answers(self, connect: Connect, scripted: Scripted) -> None:
        scripted.replies(None, torchserve(404, "ModelNotFoundException", "no"), Reply(body={}))
        with connect(scripted.url) as client:
            client.wait_until_ready("m", timeout=60)
            scripted.replies(torchserve(404, "ModelNotFoundException", "no m"))
            with pytest.raises(Timeout, match=r"m is not ready after 1 s: no m"):
                client.wait_until_ready("m", timeout=1)

    @pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"])
    def test_a_server_that_takes_connections_and_never_answers(self, connect: Connect, begins: bytes) -> None:
        """Whatever the client's own time-outs are: these are for answers that take long."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            held: list[socket.socket] = []

            def accept() -> None:
                with suppress(OSError):
                    while True:
                        held.append(silent.accept()[0])
                        held[-1].sendall(begins)

            threading.Thread(target=accept, daemon=True).start()
            with connect(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=(60, 600)) as client:
                began = time.monotonic()
                with pytest.raises(Timeout, match="did not answer within"):
                    client.wait_until_ready("m", timeout=0.6)
                assert time.monotonic() - began < 5
            silent.shutdown(socket.SHUT_RDWR)
            for connection in held:
                connection.close()

    def test_a_file_of_keys_that_comes_later(self, connect: Connect, scripted: Scripted, tmp_path: Path) -> None:
        keys = tmp_path / "key_file.json"
        scripted.replies(Reply(body={}))
        with connect(scripted.url, key_file=keys) as client:
            with pytest.raises(Timeout, match="key file"):
                client.wait_until_ready("m", timeout=0.1)
            threading.Timer(0.2, keys.write_text, ['{"inference": {"key": "abc"}}']).start()
            client.wait_until_ready("m", timeout=30)

    def test_a_wrong_key_is_said_at_once(self, connect: Connect, scripted: Scripted) -> None:
        scripted.replies(torchserve(400, "InvalidKeyException", "Token"))
        with connect(scripted.url) as client, pytest.raises(Unauthorized):
            client.wait_until_ready("m", timeout=60)


class TestWhatIsNoListOfRecords:
    """Iterating it would ask nonsense, and answers to nonsense look like answers."""

    @pytest.mark.parametrize("ask", ["predict", "predict_many"])
    def test_a_series_is_told_how_to_be_a_record(self, connect: Connect, ask: str) -> None:
        frame = pandas.DataFrame({"age": [1, 2]})
        with connect("http://127.0.0.1:9") as client, pytest.raises(TypeError, match=r"series.to_dict\(\)"):
            list(getattr(client, ask)("m", frame.iloc[0]))

    @pytest.mark.parametrize("one", [{"age": 1}, "good film", Path("cat.jpg"), b"\x89PNG"])
    def test_one_record_is_not_many(self, connect: Connect, one: Any) -> None:
        with connect("http://127.0.0.1:9") as client, pytest.raises(TypeError, match="into a list"):
            list(client.predict_many("m", one))


def test_importing_it_loads_nothing_large() -> None:
    script = "import sys, fastmar_client, fastmar_client.testing; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"requests", "httpx", "asyncio", "numpy", "pandas", "orjson", "rich"} & set(loaded)
    packages = {name.partition(".")[0] for name in loaded if name.startswith("fastmar")}
    assert packages == {"fastmar_client", "fastmar_contract"}
