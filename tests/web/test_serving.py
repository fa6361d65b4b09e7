"""`fastmar web` as a process: its output, its address, and how it stops."""

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
from fastmar_web.serving import NO_LOGIN
from tests.web.fake import number, schema
from tests.web.html import code_of_error

UNREACHABLE = "http://127.0.0.1:9"  # the discard port, where nothing listens


@contextmanager
def running(
    *arguments: str, command: list[str] | None = None, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`fastmar web` on a free port, and the lines that it printed until it was ready."""
    web = [sys.executable, "-m", "fastmar_cli.main", "web", "--port", "0", "--url", UNREACHABLE, *arguments]
    process = subprocess.Popen(
        command or web, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
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


def test_it_prints_its_address_and_stops_on_sigterm(tmp_path: Path) -> None:
    with running(TMPDIR=str(tmp_path)) as (process, lines):
        [address] = [line.split()[-1] for line in lines if line.startswith("Web app")]
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
        assert f"Model server  {UNREACHABLE}" in lines
        assert not re.match(r"Ready: \d+ model", lines[-1])  # the model server can't be reached
        assert NO_LOGIN not in lines
        response = requests.get(f"{address}/", timeout=60)
        assert (response.status_code, code_of_error(response.text)) == (503, "model_server_unreachable")
        assert "Server" not in response.headers
        assert requests.get(f"{address}/health", timeout=60).text == "ok\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert not list(tmp_path.iterdir())  # its folder is gone


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_a_finalizer_stops_it(number: int) -> None:
    """Python drops an exception that a signal handler raises while `__del__` runs."""
    code = f"""
import os, signal, sys
from fastmar_web import connections
from fastmar_web.serving import Settings, serve

class Dropped:
    def __del__(self):
        os.kill(os.getpid(), {int(number)})
        sum(range(100))

count = [0]
readable = connections.Channel.readable

def first_call_signals(channel):
    count[0] += 1
    if count[0] == 1:
        Dropped()
    return readable(channel)

connections.Channel.readable = first_call_signals
sys.exit(serve(Settings(url={UNREACHABLE!r}, port=0)))
"""
    with running(command=[sys.executable, "-c", code]) as (process, lines):
        [address] = [line.split()[-1] for line in lines if line.startswith("Web app")]
        with suppress(requests.RequestException):  # it may stop before the answer
            requests.get(f"{address}/health", timeout=60)
        assert process.wait(60) == 0


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")
def test_tables_are_deleted_when_the_terminal_is_closed(tmp_path: Path) -> None:
    with (
        model_server() as url,
        sighup(signal.SIG_DFL),
        running("--url", url, TMPDIR=str(tmp_path)) as (process, lines),
    ):
        send_table(lines)
        assert list(tmp_path.rglob("table.csv"))
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGHUP)  # the shell and the kernel both send it
        assert process.wait(60) == 0
        assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")
def test_nohup_keeps_it_running(tmp_path: Path) -> None:
    with (
        model_server() as url,
        sighup(signal.SIG_IGN),
        running("--url", url, TMPDIR=str(tmp_path)) as (process, lines),
    ):
        send_table(lines)
        process.send_signal(signal.SIGHUP)
        send_table(lines)
        assert process.poll() is None
        assert len(list(tmp_path.rglob("table.csv"))) == 2


@contextmanager
def sighup(handler: Any) -> Iterator[None]:
    """Child processes inherit this handler of SIGHUP: SIG_IGN, as under nohup, or SIG_DFL."""
    before = signal.signal(signal.SIGHUP, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


class Handler(BaseHTTPRequestHandler):
    """Base class of the model servers in these tests."""

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None: ...


def send_table(lines: list[str]) -> None:
    [address] = [line.split()[-1] for line in lines if line.startswith("Web app")]
    response = requests.post(f"{address}/models/m/table", files={"table": ("t.csv", b"age\n1\n")}, timeout=60)
    assert response.status_code == 200


@contextmanager
def model_server() -> Iterator[str]:
    """A server with one model that answers requests for its schema only."""
    body = json.dumps(schema("m", {"age": number(38)})).encode()

    class Server(Handler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"] or 0))
            self.reply(200, body)

    with listening(Server) as url:
        yield url


def test_on_another_host_it_warns_that_it_has_no_login() -> None:
    with running("--host", "0.0.0.0") as (_, lines):
        assert NO_LOGIN in lines


def test_an_unreadable_key_file_is_one_error(tmp_path: Path, capsys: Any) -> None:
    assert main(["web", "--port", "0", "--key-file", str(tmp_path / "none")]) == 1
    error = capsys.readouterr().err
    assert "WebError" in error
    assert str(tmp_path / "none") in error
    assert "Fix:" in error


def test_a_port_in_use_is_one_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "fastmar_cli.main", "web", "--port", port]
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30, check=False)
    assert done.returncode == 1
    assert "WebError" in done.stderr
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Fix:" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_changed_key_file_is_read_again(tmp_path: Path) -> None:
    """`fastmar serve` may make a new key at each start."""
    from fastmar_web.backend import Backend
    from fastmar_web.errors import PageError
    from fastmar_web.settings import Settings

    key_file = tmp_path / "key"
    key_file.write_text("old")
    seen: list[str] = []
    with server_with_key(seen) as url:
        backend = Backend(Settings(url=url, key_file=key_file))
        with pytest.raises(PageError) as caught:
            backend.models()
        assert caught.value.code == "key_refused"
        key_file.write_text("new")
        assert backend.models() == []
    assert seen[-1] == "Bearer new"


@contextmanager
def server_with_key(seen: list[str]) -> Iterator[str]:
    """A server that accepts the key "new" only."""

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
