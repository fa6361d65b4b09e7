"""How long the web app asks a server that does not answer: a person does not wait, a table does."""

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
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "PAUSE", 0.02)
    monkeypatch.setattr(backend_module, "STEP", 0.01)


@pytest.fixture
def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_question_to_a_server_that_is_down_is_soon_answered_in_words(closed_port: str) -> None:
    begin = time.monotonic()
    with pytest.raises(Unavailable, match="does not answer") as said:
        Backend(Settings(url=closed_port)).predict("people", None, {"age": 1})
    assert time.monotonic() - begin < 2
    assert (said.value.status, said.value.title) == (503, "The model server is away")


@pytest.mark.parametrize(("status", "retry_after"), [(503, "60"), (500, ""), (429, "3600")])
def test_a_question_to_a_server_that_fails_is_asked_twice_and_soon_answered(status: int, retry_after: str) -> None:
    asked = []

    class Server(Handler):
        def do_POST(self) -> None:
            asked.append(self.rfile.read(int(self.headers["Content-Length"] or 0)))
            self.send_response(status)
            if retry_after:
                self.send_header("Retry-After", retry_after)
            self.send_header("Content-Length", "0")
            self.end_headers()

    begin = time.monotonic()
    with listening(Server) as url, pytest.raises(Unavailable):
        Backend(Settings(url=url)).predict("people", None, {"age": 1})
    assert time.monotonic() - begin < 4
    assert len(asked) == RETRIES.attempts == 2


class Away:
    """A client whose server is away from the `begin`-th row on, for some attempts."""

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
def test_a_table_is_gone_on_with_when_the_server_is_back(
    fake: FakeClient, table: Path, soon: None, error: Exception, resume: bool
) -> None:
    client = Away(fake, error, attempts=5)
    scored = score(client, table, resume=resume)
    assert (scored.rows, scored.errors) == (1500, 0)
    assert client.resumed == [resume, *[True] * 5]
    lines = table.with_name("answers.csv").read_text().splitlines()
    assert len(lines) == 1501
    assert sum(row["age"] == "7" for row in fake.asked) == 1  # what was scored is not scored again


def test_a_table_whose_server_stays_away_fails_after_the_patience(fake: FakeClient, table: Path, soon: None) -> None:
    client = Away(fake, ServerUnreachable("refused", fix="f"), attempts=10**9)
    begin = time.monotonic()
    with pytest.raises(ServerUnreachable):
        score(client, table, patience=0.5)
    assert time.monotonic() - begin < 5
    assert len(client.resumed) > 2


def test_a_table_that_is_begun_anew_does_not_take_up_an_old_run(fake: FakeClient, table: Path, soon: None) -> None:
    """Where the server is away before the first row, the file on the disk is still another run's."""
    client = Away(fake, ServerUnreachable("refused", fix="f"), attempts=0)
    original, failures = client.score_csv, [1, 1]

    def fails_at_first(*arguments: Any, resume: bool, **more: Any) -> Any:
        if failures:
            client.resumed.append(resume)
            failures.pop()
            raise ServerUnreachable("refused", fix="f")
        return original(*arguments, resume=resume, **more)

    client.score_csv = fails_at_first  # type: ignore[method-assign]
    assert score(client, table, resume=False).rows == 1500
    assert client.resumed == [False, False, False]


def test_a_table_that_is_removed_is_let_go_while_the_server_is_away(fake: FakeClient, table: Path) -> None:
    client = Away(fake, ServerUnreachable("refused", fix="f"), attempts=10**9)

    class Stopped(Exception):
        pass

    def on_progress(rows: int) -> None:
        if len(client.resumed) == 1 and client.left < 10**9:
            raise Stopped

    begin = time.monotonic()
    with pytest.raises(Stopped):
        score(client, table, on_progress, patience=60)
    assert time.monotonic() - begin < 1.5  # a whole pause lasts longer


def test_what_another_attempt_does_not_mend_fails_at_once(fake: FakeClient, table: Path) -> None:
    class Refusing(Away):
        def score_csv(self, *arguments: Any, **more: Any) -> Any:
            raise RecordRefused("no", fix="f")

    begin = time.monotonic()
    with pytest.raises(RecordRefused):
        score(Refusing(fake, RecordRefused("no", fix="f"), 0), table)
    assert time.monotonic() - begin < 1


def test_the_client_takes_the_encoding_and_resumes_over_http(tmp_path: Path, soon: None) -> None:
    """The real client, with a server that is away for the first requests with rows."""
    from tests.web.fake import number, schema

    described = json.dumps(schema("m", {"age": number(38)})).encode()
    failures = [1] * (2 * RETRIES.attempts)

    class Server(Handler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            if not body:
                self.reply(200, described)
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
