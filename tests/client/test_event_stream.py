"""`stream`: events from a server, its errors, and the end of the connection."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.archives import language_archive
from tests.client.blocking import Connect
from tests.client.scripted import Reply, Scripted
from tests.engines import FAST
from tests.runtime import tiny_language

from fastmar_client import Client, ClientError, RecordRefused, Retries, ServerFailed, ServerUnreachable, Timeout
from fastmar_client.event_stream import TextParts
from fastmar_client.transport import Reply as ClientReply
from fastmar_runtime.http.event_stream import ANSWER, ERROR, EVENT_STREAM, event
from fastmar_runtime.schema import describe
from fastmar_serving.testing import RunningServer

SCHEMA = describe(tiny_language.spec())
PARTS = [event({"text": " good"}), event({"text": " and"})]
END = event({"text": "it was good and", "generated": "good and", "warnings": []}, ANSWER)
REFUSAL = {"code": "text_too_long", "field": None, "message": "the text is too long.", "fix": "send a shorter one."}
REFUSED = event({"error": {**REFUSAL, "record": 0}}, ERROR)
FAILED = event({"error": {**REFUSAL, "code": "internal"}}, ERROR)
QUICK = Retries(attempts=3, backoff=0.001)
WAIT = 10  # seconds


def events(*parts: bytes) -> Reply:
    return Reply(200, b"".join(parts), {"Content-Type": EVENT_STREAM, "X-Request-ID": "r-1"})


def after_schema(scripted: Scripted, *replies: Reply | None) -> None:
    scripted.replies(Reply(body=SCHEMA), *replies)


def read(chunks: Sequence[bytes]) -> list[str]:
    with TextParts(ClientReply(200), "words", None) as parts:
        return [part for chunk in chunks for part in parts(chunk)]


@given(st.lists(st.text()), st.lists(st.integers(0, 400)), st.booleans())
def test_parts_do_not_depend_on_the_chunks(texts: list[str], cuts: list[int], is_crlf: bool) -> None:
    body = b": a comment\n\n" + b"".join(event({"text": text}) for text in texts) + END
    body = body.replace(b"\n", b"\r\n") if is_crlf else body
    places = sorted({0, len(body), *(cut % len(body) for cut in cuts)})
    assert read([body[start:end] for start, end in pairwise(places)]) == texts


@given(st.binary())
def test_other_bytes_are_a_client_error(body: bytes) -> None:
    with pytest.raises(ClientError) as caught:
        read([body, b"\n\ndata: 1\n\n", END])
    assert caught.value.code in ("event_unreadable", "stream_incomplete")


def test_parts(connect: Connect, scripted: Scripted) -> None:
    after_schema(scripted, events(*PARTS, END), Reply(body={"prediction": 1}))
    with connect(scripted.url, token="k", headers={"traceparent": "t-1"}) as client:
        assert list(client.stream("words", "it was", 2, version="1.0", request_id="i-7")) == [" good", " and"]
        assert client.predict("words", {}) == {"prediction": 1}
    _, seen, other = scripted.seen
    assert (seen.path, json.loads(seen.body)["generate"]) == ("/predictions/words/1.0", 2)
    facts = {name: seen.headers[name] for name in ("accept", "authorization", "traceparent", "x-request-id")}
    assert facts == {
        "accept": "text/event-stream, application/json",
        "authorization": "Bearer k",
        "traceparent": "t-1",
        "x-request-id": "i-7",
    }
    assert other.headers["accept"] == "application/json"


def test_nothing_is_sent_before_the_first_part(connect: Connect, scripted: Scripted) -> None:
    with connect(scripted.url) as client:
        client.stream("words", "it was")
    assert scripted.seen == []


@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        ((REFUSED,), RecordRefused, "text_too_long"),
        ((FAILED,), ServerFailed, "internal"),
        ((), ServerFailed, "stream_incomplete"),
        ((event(["good"]),), ServerFailed, "event_unreadable"),
        ((event({"text": "?"})[:9],), ServerFailed, "stream_incomplete"),
    ],
)
def test_errors_after_the_first_part(
    connect: Connect, scripted: Scripted, body: tuple[bytes, ...], kind: type[ClientError], code: str
) -> None:
    after_schema(scripted, events(*PARTS, *body))
    with connect(scripted.url, retries=QUICK) as client:
        parts = client.stream("words", "it was")
        assert [next(parts), next(parts)] == [" good", " and"]
        with pytest.raises(kind) as caught:
            next(parts)
    assert (caught.value.code, caught.value.model, caught.value.request_id) == (code, "words", "r-1")
    assert len(scripted.seen) == 2, "not retried"


def test_a_refusal_is_that_of_generate(connect: Connect, scripted: Scripted) -> None:
    after_schema(scripted, events(REFUSED), Reply(400, {"error": REFUSAL}, {"X-Request-ID": "r-1"}))
    with connect(scripted.url) as client:
        with pytest.raises(RecordRefused) as streamed:
            list(client.stream("words", "it was"))
        with pytest.raises(RecordRefused) as whole:
            client.generate("words", "it was")
    assert vars(streamed.value) == vars(whole.value)


def test_retries_before_the_first_part(connect: Connect, scripted: Scripted) -> None:
    after_schema(scripted, Reply(503, b""), None, events(*PARTS, END))
    with connect(scripted.url, retries=QUICK) as client:
        assert "".join(client.stream("words", "it was")) == " good and"
    after_schema(scripted, Reply(400, {"error": REFUSAL}))
    with connect(scripted.url, retries=QUICK) as client, pytest.raises(RecordRefused):
        list(client.stream("words", "it was"))


class SlowServer:
    """Sends each event when the test calls `send`, in a chunked body; `closed` is set when the client has left."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._connection: socket.socket | None = None
        self._has_started = threading.Event()
        self.closed = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def send(self, part: bytes) -> None:
        assert self._has_started.wait(WAIT)
        assert self._connection is not None
        self._connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))

    def hang_up(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.hang_up()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # ends `accept`
        self._thread.join(WAIT)
        self._listener.close()
        if self._connection is not None:
            self._connection.close()

    def _run(self) -> None:
        with suppress(OSError):
            self._connection, _ = self._listener.accept()
            self._answer(json.dumps(SCHEMA).encode())
            self._receive()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            self._connection.sendall(head)
            self._has_started.set()
            while self._connection.recv(4096):
                pass
            self.closed.set()

    def _answer(self, body: bytes) -> None:
        self._receive()
        assert self._connection is not None
        self._connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    def _receive(self) -> None:
        assert self._connection is not None
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._connection.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        [length] = [int(line[15:]) for line in head.lower().splitlines() if line.startswith(b"content-length:")] or [0]
        while len(body) < length:
            body += self._connection.recv(65536)


@pytest.fixture
def slow() -> Iterator[SlowServer]:
    server = SlowServer()
    yield server
    server.close()


def in_background(server: SlowServer, *parts: bytes) -> None:
    threading.Thread(target=lambda: [server.send(part) for part in parts]).start()


def test_parts_arrive_before_the_text_is_complete(connect: Connect, slow: SlowServer) -> None:
    with connect(slow.url, timeout=(3, 3)) as client:
        parts = client.stream("words", "it was")
        in_background(slow, PARTS[0])
        assert next(parts) == " good"
        slow.send(PARTS[1][:11])
        slow.send(PARTS[1][11:])
        assert next(parts) == " and"
        slow.send(END)
        slow.send(b"")
        assert list(parts) == []


def test_a_caller_that_stops_closes_the_connection(connect: Connect, slow: SlowServer) -> None:
    with connect(slow.url) as client:
        in_background(slow, *PARTS)
        parts: Any = client.stream("words", "it was")
        assert next(parts) == " good"
        assert not slow.closed.is_set()
        parts.close()
        assert slow.closed.wait(WAIT)


def test_a_loop_that_is_left_closes_the_connection(slow: SlowServer) -> None:
    with Client(slow.url) as client:
        in_background(slow, *PARTS)
        for _ in client.stream("words", "it was"):
            break
        assert slow.closed.wait(WAIT)


def test_a_broken_connection(connect: Connect, slow: SlowServer) -> None:
    with connect(slow.url, retries=QUICK) as client:
        in_background(slow, PARTS[0])
        parts = client.stream("words", "it was", request_id="i-7")
        next(parts)
        slow.hang_up()
        with pytest.raises(ServerUnreachable) as caught:
            next(parts)
    assert (caught.value.model, caught.value.request_id) == ("words", "i-7")


def test_a_silent_server(connect: Connect, slow: SlowServer) -> None:
    with connect(slow.url, timeout=(30, 2.0)) as client:
        in_background(slow, PARTS[0])
        parts = client.stream("words", "it was")
        next(parts)
        with pytest.raises(Timeout) as caught:
            next(parts)
    assert caught.value.model == "words"
    assert slow.closed.wait(WAIT)


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A real server of the tiny language model."""
    folder = tmp_path_factory.mktemp("words")
    language_archive(folder)
    with FAST.serve(folder) as running:
        yield running


@pytest.mark.asgi
def test_a_real_server(connect: Connect, words: RunningServer) -> None:
    options: dict[str, Any] = {"tokens": 20, "temperature": 2, "seed": 4}
    with connect(words.url) as client:
        answer = client.generate("words", "it was", **options)
        parts = list(client.stream("words", "it was", **options))
        assert len(parts) > 10
        assert "".join(parts) == f" {answer['generated']}"
        with pytest.raises(RecordRefused) as caught:
            list(client.stream("words", "it was", 0))
        assert caught.value.code == "invalid_option"
        long: Any = client.stream("words", "it was", 1000)
        next(long)
        long.close()
        assert client.predict("words", "it was")["prediction"] == "good"
