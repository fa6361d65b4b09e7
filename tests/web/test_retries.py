"""Retries of the web app when the model server fails: few for a page, many for a table."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastmar_client import Client, RecordRefused, ServerFailed, ServerUnreachable, Timeout
from fastmar_web import backend as backend_module
from fastmar_web.backend import RETRIES, Backend
from fastmar_web.errors import Unavailable
from fastmar_web.settings import Settings
from tests.web.fake import FakeClient, answer
from tests.web.test_pages import table_of
from tests.web.test_serving import Handler, listening


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "RETRY_PAUSE", 0.02)
    monkeypatch.setattr(backend_module, "POLL_SECONDS", 0.01)


@pytest.fixture
def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_prediction_fails_if_the_server_is_down(closed_port: str) -> None:
    with pytest.raises(Unavailable) as caught:
        Backend(Settings(url=closed_port)).predict("people", None, {"age": 1})
    assert (caught.value.status, caught.value.code) == (503, "model_server_unreachable")


@pytest.mark.parametrize(("status", "retry_after"), [(503, "60"), (500, ""), (429, "3600")])
def test_a_prediction_is_sent_twice_to_a_server_that_fails(status: int, retry_after: str) -> None:
    bodies = []

    class Server(Handler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"] or 0)))
            self.send_response(status)
            if retry_after:
                self.send_header("Retry-After", retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()

    begin = time.monotonic()
    with listening(Server) as url, pytest.raises(Unavailable) as caught:
        Backend(Settings(url=url)).predict("people", None, {"age": 1})
    assert time.monotonic() - begin < 30  # less than the header says
    assert caught.value.code == "model_server_failed"
    assert len(bodies) == RETRIES.attempts == 2


class FailingClient:
    """A client whose server fails at row 1200, for some attempts."""

    def __init__(self, fake: FakeClient, error: Exception, attempts: int) -> None:
        self.fake, self.error, self.left = fake, error, attempts
        self.resumed: list[bool] = []
        fake.answers["people"] = self._answer

    def _answer(self, row: dict[str, str]) -> Any:
        if row["age"] == "1200" and self.left:
            self.left -= 1
            return self.error
        return answer()

    def score_csv(self, *arguments: Any, resume: bool, **more: Any) -> Any:
        self.resumed.append(resume)
        return self.fake.score_csv(*arguments, resume=resume, **more)


@pytest.fixture
def table(fake: FakeClient, tmp_path: Path) -> Iterator[Path]:
    source = tmp_path / "table.csv"
    source.write_bytes(table_of(fake, [str(age) for age in range(1500)]))
    return source


def score(client: Any, table: Path, on_progress: Any = lambda _: None, *, patience: float = 30.0, **more: Any) -> Any:
    backend = Backend(Settings(table_patience=patience), client)
    return backend.score_table("people", None, table, table.with_name("answers.csv"), on_progress, **more)


@pytest.mark.parametrize(
    "error", [ServerUnreachable("refused", fix="f"), ServerFailed("503", fix="f"), Timeout("60 s", fix="f")]
)
@pytest.mark.parametrize("resume", [True, False])
def test_a_table_continues_when_the_server_is_back(
    fake: FakeClient, table: Path, short_pauses: None, error: Exception, resume: bool
) -> None:
    client = FailingClient(fake, error, attempts=5)
    scored = score(client, table, resume=resume)
    assert (scored.rows, scored.errors) == (1500, 0)
    assert client.resumed == [resume, *[True] * 5]
    lines = table.with_name("answers.csv").read_text().splitlines()
    assert len(lines) == 1501
    assert sum(row["age"] == "7" for row in fake.requests) == 1  # what was scored is not scored again


def test_a_table_fails_after_table_patience(fake: FakeClient, table: Path, short_pauses: None) -> None:
    client = FailingClient(fake, ServerUnreachable("refused", fix="f"), attempts=10**9)
    with pytest.raises(ServerUnreachable):
        score(client, table, patience=2.0)
    assert len(client.resumed) > 2


def test_a_new_run_does_not_continue_an_old_one(fake: FakeClient, table: Path, short_pauses: None) -> None:
    """If the server fails before the first row, the answers on the disk are still those of another run."""
    client = FailingClient(fake, ServerUnreachable("refused", fix="f"), attempts=0)
    original, failures = client.score_csv, [1, 1]

    def fail_twice(*arguments: Any, resume: bool, **more: Any) -> Any:
        if failures:
            client.resumed.append(resume)
            failures.pop()
            raise ServerUnreachable("refused", fix="f")
        return original(*arguments, resume=resume, **more)

    client.score_csv = fail_twice  # type: ignore[method-assign]
    assert score(client, table, resume=False).rows == 1500
    assert client.resumed == [False, False, False]


def test_a_removed_table_ends_while_the_server_is_down(
    fake: FakeClient, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_module, "RETRY_PAUSE", 120.0)
    client = FailingClient(fake, ServerUnreachable("refused", fix="f"), attempts=10**9)

    class Removed(Exception):
        pass

    def on_progress(rows: int) -> None:
        if len(client.resumed) == 1 and client.left < 10**9:
            raise Removed

    begin = time.monotonic()
    with pytest.raises(Removed):
        score(client, table, on_progress, patience=600)
    assert time.monotonic() - begin < 60  # a whole pause lasts longer


def test_errors_that_a_retry_cannot_fix_are_not_retried(fake: FakeClient, table: Path) -> None:
    class Refusing(FailingClient):
        def score_csv(self, *arguments: Any, resume: bool, **more: Any) -> Any:
            self.resumed.append(resume)
            raise RecordRefused("no", fix="f")

    client = Refusing(fake, RecordRefused("no", fix="f"), 0)
    with pytest.raises(RecordRefused):
        score(client, table)
    assert len(client.resumed) == 1


def test_the_client_takes_the_encoding_and_resumes_over_http(tmp_path: Path, short_pauses: None) -> None:
    """The real client, with a server that fails the first requests with rows."""
    from tests.web.fake import number, schema

    description = json.dumps(schema("m", {"age": number(38)})).encode()
    failures = [1] * (2 * RETRIES.attempts)

    class Server(Handler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            if not body:
                self.reply(200, description)
            elif failures:
                failures.pop()
                self.reply(503, b"{}")
            else:
                self.reply(200, json.dumps([answer()] * (body.count(b"\n") - 1)).encode())

    source = tmp_path / "t.csv"
    source.write_bytes("age\n1\n2\n".encode("utf-16-le"))
    with listening(Server) as url, Client(url, retries=RETRIES) as client:
        backend = Backend(Settings(), client)
        scored = backend.score_table(
            "m", None, source, tmp_path / "a.csv", lambda _: None, encoding="utf-16-le", resume=True
        )
    assert (scored.rows, scored.errors, failures) == (2, 0, [])
