"""`fastmar serve` with a real TorchServe."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from tests.engines.load import Load
from tests.serving.torchserve.conftest import ECHO

from fastmar_serving.testing import RunningServer, running_server

pytestmark = pytest.mark.torchserve


def post(server: RunningServer, path: str, record: Any) -> Any:
    headers = {"Content-Type": "application/json"}
    if server.key_file:
        headers["Authorization"] = f"Bearer {json.loads(server.key_file.read_text())['inference']['key']}"
    request = urllib.request.Request(server.url + path, json.dumps(record).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def family(server: RunningServer) -> list[psutil.Process]:
    """Java and its workers."""
    return psutil.Process(server.process.pid).children(recursive=True)


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=60)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


class TestRunning:
    @pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
    def test_printed_command_works_with_special_characters(self, server: RunningServer) -> None:
        command = next(line for line in server.lines if line.strip().startswith("curl"))
        printed = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=True).stdout
        assert json.loads(printed) == {"prediction": {"it's": "a 'record'", "n": 1.5, "é": "$HOME"}}

    def test_refuses_requests_without_key_and_does_not_print_the_key(self, server: RunningServer) -> None:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(server.url + "/predictions/echo", timeout=60)
        assert refused.value.code == 401
        refused.value.close()
        assert server.key_file is not None
        keys = json.loads(server.key_file.read_text())
        printed = "\n".join(server.lines) + server.stderr.read_text()
        assert not [kind for kind in keys.values() if kind["key"] in printed]

    def test_keys_do_not_expire(self, server: RunningServer) -> None:
        assert server.key_file is not None
        keys = json.loads(server.key_file.read_text())
        for kind in ("inference", "management"):
            assert int(keys[kind]["expiration time"].partition("-")[0]) > 3000

    def test_interpreter_and_environment_of_workers(self, server: RunningServer) -> None:
        answer = post(server, "/predictions/echo", {"environment": True})
        assert answer["python"] == sys.executable
        assert int(answer["environment"]["OMP_NUM_THREADS"]) >= 1
        assert answer["environment"]["FASTMAR_MAX_RESPONSE_BYTES"] == "134217728"

    def test_metrics_of_server_and_handler(self, server: RunningServer) -> None:
        post(server, "/predictions/echo", {"a": 1})
        with urllib.request.urlopen(server.metrics, timeout=60) as answer:
            text = answer.read().decode()
        assert "ts_inference_requests_total{" in text
        assert 'echo_records_total{ModelName="echo",Level="Model"' in text

    def test_open_inference_protocol_is_on(self, server: RunningServer) -> None:
        assert post(server, "/v2/models/echo/infer", {"a": 1})

    def test_refuses_a_taken_port(self, server: RunningServer, echo_store: Path) -> None:
        port = urlsplit(server.url).port or 0
        with (
            pytest.raises(RuntimeError, match=f"PortTaken: .*127.0.0.1:{port}"),
            running_server(echo_store, port=port),
        ):
            pass

    def test_requests_print_nothing(self, server: RunningServer) -> None:
        for _ in range(20):
            post(server, "/predictions/echo", {"a": 1})
        lines = server.stderr.read_text().splitlines()
        assert len(lines) == 2  # at the start: TorchServe starts, the model is loaded
        assert all("echo 1.0" in line for line in lines)


# The launcher on a system without the socket option that refuses new connections, such as Linux before 5.7.
CONFINED = [
    sys.executable,
    "-c",
    """
import sys
from fastmar_cli.main import main
from fastmar_serving import sockets

sockets.SO_BINDTOIFINDEX = 99999
sys.exit(main(sys.argv[1:]))
""",
]


class TestStopping:
    def test_sigterm_without_the_socket_option_resets_few_connections(self, echo_store: Path) -> None:
        with running_server(echo_store, command=CONFINED) as server:
            load = Load(urlsplit(server.url).port or 0, "/predictions/echo")
            load.start(keep_alive=8, one_each=8)
            load.wait_for_answers(50)
            assert server.stop() == 0
            outcomes = load.wait()
            assert "reset" in server.stderr.read_text()
        # A handshake that completes at the moment when the port closes is reset, before a request is sent on it: at
        # most one for each stream that opens a connection per request.
        resets = outcomes.total() - outcomes["200"] - outcomes["refused"]
        assert resets <= 8, outcomes
        assert outcomes["refused"] == 16

    def test_launcher_ends_if_java_is_killed(self, echo_store: Path) -> None:
        with running_server(echo_store) as server:
            processes = family(server)
            next(process for process in processes if "java" in process.name()).kill()
            assert server.process.wait(60) == 1
            printed = server.stderr.read_text()
            assert "ServerDied: " in printed
            assert "signal 9" in printed
            assert_gone(processes)


# Loads in the first worker; other workers run `otherwise`.
PARTIAL = """
import pathlib

class Partial:
    def initialize(self, context):
        folder = pathlib.Path({folder!r})
        try:
            (folder / "first").touch(exist_ok=False)
        except FileExistsError:
            (folder / "second").touch()
            {otherwise}

    def handle(self, data, context):
        return [b""] * len(data)
"""


class TestWorkers:
    def test_reports_one_worker_that_does_not_load(self, tmp_path: Path, archive: Callable[..., Path]) -> None:
        otherwise = "raise RuntimeError('no memory is left')"
        archive(tmp_path / "store", "partial", PARTIAL.format(folder=str(tmp_path), otherwise=otherwise))
        with (
            pytest.raises(RuntimeError, match=r"LoadFailed: .*partial.*no memory is left"),
            running_server(tmp_path / "store", "--workers", "2"),
        ):
            pass

    def test_signal_ends_the_start_while_workers_load(self, tmp_path: Path, archive: Callable[..., Path]) -> None:
        otherwise = "__import__('time').sleep(600)"
        archive(tmp_path / "store", "partial", PARTIAL.format(folder=str(tmp_path), otherwise=otherwise))
        arguments = ["serve", "--model-store", str(tmp_path / "store"), "--port", "0", "--metrics-port", "0"]
        server = subprocess.Popen(
            [sys.executable, "-m", "fastmar_cli.main", *arguments, "--workers", "2"], stderr=subprocess.PIPE, text=True
        )
        try:
            deadline = time.monotonic() + 60
            while not (tmp_path / "second").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            server.terminate()
            _, printed = server.communicate(timeout=60)
        finally:
            server.kill()
            server.wait()
        assert server.returncode == 0
        assert "stopped before it was ready" in printed


def test_reports_why_a_model_does_not_load(tmp_path: Path, archive: Callable[..., Path], broken_handler: str) -> None:
    archive(tmp_path, "broken", broken_handler)
    with pytest.raises(RuntimeError) as failure, running_server(tmp_path):
        pass
    lines = str(failure.value).splitlines()
    assert lines[2].startswith("LoadFailed: ")
    assert "broken" in lines[2]
    assert lines[2].endswith("golden record 3 is not reproduced")
    assert lines[3].startswith("  Fix: export it again.")
    assert "`fastmar doctor " in lines[3]
    assert len(lines) == 4  # no traceback


def test_folders_with_spaces_and_non_ascii_characters(
    archive: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")  # as in containers: Java would read paths as ASCII
    with tempfile.TemporaryDirectory(prefix="é s ") as name:  # not tmp_path: the path of a socket must be short
        folder = Path(name)
        monkeypatch.setenv("TMPDIR", name)
        archive(folder / "modèles de M. Müller", "echo", ECHO)
        state = folder / "état"
        with running_server(folder / "modèles de M. Müller", "--no-token", "--state-dir", str(state)) as server:
            assert post(server, "/predictions/echo", {"ville": "Orléans"}) == {"prediction": {"ville": "Orléans"}}
