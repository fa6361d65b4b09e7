"""`fastmar web` as a process: what it says, where it listens, how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from fastmar_cli.main import main
from tests.web.fake import number, schema

NOBODY = "http://127.0.0.1:9"  # the discard port: nobody listens there


@contextmanager
def running(
    *arguments: str, command: list[str] | None = None, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`fastmar web` on a free port; what it printed until it was ready."""
    web = [sys.executable, "-m", "fastmar_cli.main", "web", "--port", "0", "--url", NOBODY, *arguments]
    words = command or web
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    try:
        lines = []
        for line in process.stdout or ():
            lines.append(line.rstrip())
            if line.startswith("Ready"):
                break
        yield process, lines
    finally:
        process.kill()
        process.communicate()


def test_it_says_where_it_is_and_ends_when_told(tmp_path: Path) -> None:
    with running(TMPDIR=str(tmp_path)) as (process, lines):
        [address] = [line.split()[-1] for line in lines if line.startswith("Web app")]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
        assert f"Model server  {NOBODY}" in lines
        assert "the model server does not answer" in lines[-1]
        assert not any("log-in" in line for line in lines)
        response = requests.get(f"{address}/", timeout=10)
        assert response.status_code == 503
        assert "Server" not in response.headers
        assert requests.get(f"{address}/health", timeout=10).text == "ok\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert not list(tmp_path.iterdir())  # its folder is gone


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_finalizer_ends_it_too(number: int) -> None:
    """Python drops an exception that a signal handler raises while `__del__` runs."""
    code = f"""
import os, signal, sys
from fastmar_web import slow
from fastmar_web.serving import Settings, serve

class Dropped:
    def __del__(self):
        os.kill(os.getpid(), {int(number)})
        sum(range(100))

count = [0]
readable = slow.Channel.readable

def first_drops(channel):
    count[0] += 1
    if count[0] == 1:
        Dropped()
    return readable(channel)

slow.Channel.readable = first_drops
sys.exit(serve(Settings(url={NOBODY!r}, port=0)))
"""
    with running(command=[sys.executable, "-c", code]) as (process, lines):
        [address] = [line.split()[-1] for line in lines if line.startswith("Web app")]
        with suppress(requests.RequestException):  # it ends before or after the answer
            requests.get(f"{address}/health", timeout=10)
        assert process.wait(10) == 0


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the system has no terminals that hang up")
def test_no_table_stays_behind_when_the_terminal_is_closed(tmp_path: Path) -> None:
    with describing() as url, hang_ups(signal.SIG_DFL), running("--url", url, TMPDIR=str(tmp_path)) as (process, lines):
        send_table(lines)
        assert list(tmp_path.rglob("table.csv"))
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGHUP)  # the shell and the kernel both send it
        assert process.wait(60) == 0
        assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the system has no terminals that hang up")
def test_nohup_outlives_the_terminal(tmp_path: Path) -> None:
    with describing() as url, hang_ups(signal.SIG_IGN), running("--url", url, TMPDIR=str(tmp_path)) as (process, lines):
        send_table(lines)
        process.send_signal(signal.SIGHUP)
        send_table(lines)
        assert process.poll() is None
        assert len(list(tmp_path.rglob("table.csv"))) == 2


@contextmanager
def hang_ups(handler: Any) -> Iterator[None]:
    """Processes that are started meanwhile inherit SIG_IGN, as under nohup, or SIG_DFL for SIGHUP."""
    before = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


class Handler(BaseHTTPRequestHandler):
    """What servers here have in common."""

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


def send_table(lines: list[str]) -> None:
    [address] = [line.split()[-1] for line in lines if line.startswith("Web app")]
    sent = requests.post(f"{address}/models/m/table", files={"table": ("t.csv", b"age\n1\n")}, timeout=10)
    assert sent.status_code == 200


@contextmanager
def describing() -> Iterator[str]:
    """A server with one model, which does no more than describe itself."""
    body = json.dumps(schema("m", {"age": number(38)})).encode()

    class Server(Handler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.reply(200, body)

    with listening(Server) as url:
        yield url


def test_on_another_host_it_says_that_it_has_no_log_in() -> None:
    with running("--host", "0.0.0.0") as (_, lines):
        assert [line for line in lines if "no log-in" in line] == [
            "Note: the web app has no log-in of its own; put it behind a front that has one."
        ]


def test_what_it_can_not_do_is_one_readable_error(tmp_path: Path, capsys: Any) -> None:
    assert main(["web", "--port", "0", "--key-file", str(tmp_path / "none")]) == 1
    assert "Fix:" in capsys.readouterr().err


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        words = [sys.executable, "-m", "fastmar_cli.main", "web", "--port", port]
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=30, check=False)
    assert done.returncode == 1
    assert f"127.0.0.1:{port} can't be listened on" in done.stderr
    assert "Fix:" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_key_reaches_the_server_and_a_new_one_is_found(tmp_path: Path) -> None:
    """Keys of `fastmar serve` may be new at each of its starts."""
    from fastmar_web.backend import Backend
    from fastmar_web.errors import PageError
    from fastmar_web.settings import Settings

    key_file = tmp_path / "key"
    key_file.write_text("old")
    seen: list[str] = []
    with answering(seen) as url:
        backend = Backend(Settings(url=url, key_file=key_file))
        with pytest.raises(PageError, match="refuses the key"):
            backend.models()
        key_file.write_text("new")
        assert backend.models() == []
    assert seen[-1] == "Bearer new"


@contextmanager
def answering(seen: list[str]) -> Iterator[str]:
    """A server that takes the key "new" alone."""

    class Server(Handler):
        def do_GET(self) -> None:
            key = self.headers["Authorization"]
            seen.append(key)
            status, body = (200, b'{"models": [], "details": []}') if key == "Bearer new" else (401, b"{}")
            self.reply(status, body)

    with listening(Server) as url:
        yield url


@contextmanager
def listening(handler: type[Handler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
