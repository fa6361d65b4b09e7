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
    ModelNotFound,
    ServerFailed,
    Timeout,
    Unauthorized,
    served,
)


def test_predict_sends_one_record(connect: Connect, scripted: Scripted) -> None:
    scripted.reply = echo
    with connect(scripted.url + "/") as client:
        assert client.predict("a b", {"x": 1}, version="1.0") == {"prediction": {"x": 1}}
    (seen,) = scripted.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/predictions/a%20b/1.0", b'{"x":1}')
    assert seen.headers["content-type"] == "application/json"
    assert "authorization" not in seen.headers


@pytest.mark.parametrize("kind", [MappingProxyType, UserDict])
def test_any_mapping_is_a_record(connect: Connect, scripted: Scripted, kind: Any) -> None:
    """And not an iterable of pictures, with its keys as paths."""
    scripted.reply = echo
    record = kind({"x": 1, "y": float("nan"), "z": kind({"a": 2})})
    sent = {"x": 1, "y": None, "z": {"a": 2}}
    with connect(scripted.url) as client:
        assert client.predict("m", record) == {"prediction": sent}
        assert client.predict("m", [record]) == list(client.predict_many("m", [record])) == [{"prediction": sent}]
        with pytest.raises(TypeError):
            client.predict_many("m", record)


def test_predict_sends_an_iterable_as_a_list(connect: Connect, scripted: Scripted) -> None:
    scripted.reply = echo
    with connect(scripted.url) as client:
        assert client.predict("m", ({"x": i} for i in range(2)))[1] == {"prediction": {"x": 1}}  # type: ignore[call-overload]


def test_list_in_which_no_record_can_be_scored(connect: Connect, scripted: Scripted) -> None:
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
def test_predict_body_sends_the_body_unchanged(
    connect: Connect, scripted: Scripted, reply: Reply, answers: list[Any]
) -> None:
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
def test_response_without_a_list_of_models(connect: Connect, scripted: Scripted, body: Any) -> None:
    scripted.replies(Reply(body=body))
    with connect(scripted.url) as client, pytest.raises(ServerFailed) as caught:
        client.models()
    assert caught.value.code == "no_list"


class TestWaitUntilReady:
    def test_returns_when_the_model_answers(self, connect: Connect, scripted: Scripted) -> None:
        scripted.replies(None, torchserve(404, "ModelNotFoundException", "no"), Reply(body={}))
        with connect(scripted.url) as client:
            client.wait_until_ready("m", timeout=60)
            scripted.replies(torchserve(404, "ModelNotFoundException", "no m"))
            with pytest.raises(Timeout) as caught:
                client.wait_until_ready("m", timeout=1)
            assert isinstance(caught.value.__cause__, ModelNotFound)
            assert "no m" in caught.value.message, "the last failure"

    @pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{"])
    def test_server_that_accepts_connections_and_never_answers(self, connect: Connect, begins: bytes) -> None:
        """The client's own timeouts are longer."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            accepted: list[socket.socket] = []

            def accept() -> None:
                with suppress(OSError):
                    while True:
                        accepted.append(silent.accept()[0])
                        accepted[-1].sendall(begins)

            threading.Thread(target=accept, daemon=True).start()
            with connect(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=(60, 600)) as client:
                started_at = time.monotonic()
                with pytest.raises(Timeout) as caught:
                    client.wait_until_ready("m", timeout=0.6)
                assert isinstance(caught.value.__cause__, Timeout)
                assert time.monotonic() - started_at < 30
            silent.shutdown(socket.SHUT_RDWR)
            for connection in accepted:
                connection.close()

    def test_waits_for_the_key_file(self, connect: Connect, scripted: Scripted, tmp_path: Path) -> None:
        keys = tmp_path / "key_file.json"
        scripted.replies(Reply(body={}))
        with connect(scripted.url, key_file=keys) as client:
            with pytest.raises(Timeout) as caught:
                client.wait_until_ready("m", timeout=0.1)
            assert isinstance(caught.value.__cause__, Unauthorized)
            assert caught.value.__cause__.code == "key_file_unreadable"
            threading.Timer(0.2, keys.write_text, ['{"inference": {"key": "abc"}}']).start()
            client.wait_until_ready("m", timeout=30)

    def test_model_that_the_server_does_not_have(
        self, connect: Connect, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(served, "ABSENT_GRACE", 0.0)
        absent = torchserve(404, "ModelNotFoundException", "no")
        listed = {"name": "flights", "version": "1.0", "versions": ["1.0"], "ready": True}
        scripted.replies(absent, Reply(body={"models": ["flights"], "details": [listed]}))
        with connect(scripted.url) as client, pytest.raises(ModelNotFound) as caught:
            client.wait_until_ready("flihgts", timeout=60)
        assert "'flights'" in caught.value.message, "a similar name"
        assert isinstance(caught.value.__cause__, ModelNotFound)

    @pytest.mark.parametrize(
        "details",
        [
            [],
            [{"name": "other", "version": "1.0", "versions": ["1.0"], "ready": False}],
            [{"name": "m", "version": "1.0", "versions": ["1.0"], "ready": True}],
            None,
        ],
        ids=["no models yet", "models are loading", "another version", "no list"],
    )
    def test_waits_for_a_model_that_may_load(
        self, connect: Connect, scripted: Scripted, monkeypatch: pytest.MonkeyPatch, details: Any
    ) -> None:
        monkeypatch.setattr(served, "ABSENT_GRACE", 0.0)
        absent = torchserve(404, "ModelNotFoundException", "no")
        scripted.replies(absent, Reply(body={"details": details}), absent, Reply(body={}), Reply(body={}))
        with connect(scripted.url) as client:
            client.wait_until_ready("m", timeout=60, version="2.0")

    def test_wrong_key_is_raised_immediately(self, connect: Connect, scripted: Scripted) -> None:
        scripted.replies(torchserve(400, "InvalidKeyException", "Token"))
        with connect(scripted.url) as client, pytest.raises(Unauthorized):
            client.wait_until_ready("m", timeout=60)


class TestNotAListOfRecords:
    @pytest.mark.parametrize("method", ["predict", "predict_many"])
    def test_refuses_a_series_and_names_the_conversion(self, connect: Connect, method: str) -> None:
        frame = pandas.DataFrame({"age": [1, 2]})
        with connect("http://127.0.0.1:9") as client, pytest.raises(TypeError) as caught:
            list(getattr(client, method)("m", frame.iloc[0]))
        assert "to_dict()" in str(caught.value)

    @pytest.mark.parametrize("one", [{"age": 1}, "good film", Path("cat.jpg"), b"\x89PNG"])
    def test_predict_many_refuses_one_record(self, connect: Connect, one: Any) -> None:
        with connect("http://127.0.0.1:9") as client, pytest.raises(TypeError):
            list(client.predict_many("m", one))


def test_import_loads_only_small_modules() -> None:
    script = "import sys, fastmar_client, fastmar_client.testing; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"requests", "httpx", "asyncio", "numpy", "pandas", "orjson", "rich"} & set(loaded)
    packages = {name.partition(".")[0] for name in loaded if name.startswith("fastmar")}
    assert packages == {"fastmar_client", "fastmar_contract"}
