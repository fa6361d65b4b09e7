"""`fastmar deploy`, `rollback` and `models` with a real server under load."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from fastmar_cli.main import main
from fastmar_serving.audit import FILE as AUDIT
from fastmar_serving.management import Management, management_key
from fastmar_serving.testing import RunningServer, running_server
from fastmar_serving.torchserve.java import find_java
from tests.archives import (
    HANGS,
    RAISES,
    REFUSES_LATER,
    SLOW,
    UNCHECKED,
    changed,
    golden,
    renamed,
    tiny_archive,
    with_column_renamed,
)
from tests.serving.streams import Streams

pytestmark = pytest.mark.torchserve

OLD, NEW = ">=50k", "<50k"  # predictions of 1.0 and of the flipped 2.0 for the first golden record


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lifecycle") / "store"
    folder.mkdir()
    tiny_archive(folder, "1.0")
    return folder


@pytest.fixture(scope="module")
def server(store: Path) -> Iterator[RunningServer]:
    """A server with keys for both APIs."""
    with running_server(store, "--token") as running:
        yield running


@pytest.fixture
def ask(server: RunningServer) -> Any:
    """A function that returns a version's prediction for the first golden record, or the status of an error."""

    def prediction(name: str = "tiny", version: str | None = None) -> Any:
        path = f"{name}/{version}" if version else name
        reply = requests.post(
            f"{server.url}/predictions/{path}",
            json=record(),
            headers={"Authorization": f"Bearer {key(server)}"},
            timeout=30,
        )
        return reply.json()["prediction"] if reply.ok else reply.status_code

    return prediction


@pytest.fixture
def fastmar(server: RunningServer, capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that runs a command for the server, checks its status, and returns standard output and error."""

    def run(*arguments: object, status: int = 0) -> tuple[str, str]:
        exit_status = main([*map(str, arguments), "--url", server.url])
        printed = capsys.readouterr()
        assert exit_status == status, printed.err
        return printed.out, printed.err

    return run


@pytest.fixture(autouse=True)
def restore(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test, remove all versions except 1.0 from the store and the server."""
    yield
    if "server" not in request.fixturenames:
        return
    store, server = request.getfixturevalue("store"), request.getfixturevalue("server")
    api = management(server)
    api.set_default("tiny", "1.0")
    for name in api.names():
        for version in api.describe(name):
            if (name, version["modelVersion"]) != ("tiny", "1.0"):
                api.unregister(name, version["modelVersion"])
    for path in store.iterdir():
        if path.name not in ("tiny-1.0.mar", AUDIT):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def management(server: RunningServer) -> Any:
    assert server.key_file is not None
    key_file = server.key_file
    return Management(server.management, lambda: management_key(key_file))


def key(server: RunningServer) -> str:
    assert server.key_file is not None
    content: dict[str, Any] = json.loads(server.key_file.read_text())
    return str(content["inference"]["key"])


def record() -> Any:
    from tests.runtime import tiny

    return tiny.record()


def workers(server: RunningServer) -> int:
    count = 0
    for process in psutil.Process(server.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            count += "model_service_worker" in " ".join(process.cmdline())
    return count


def names(store: Path) -> list[str]:
    """Files of the store except the audit log."""
    return sorted(path.name for path in store.iterdir() if path.name != AUDIT)


def audit(store: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (store / AUDIT).read_text().splitlines()]


class TestUnderLoad:
    def test_deploy_and_rollback_lose_no_request(self, server: RunningServer, fastmar: Any, tmp_path: Path) -> None:
        second = tiny_archive(tmp_path, "2.0", flipped=True)
        streams = Streams(server.url, "/predictions/tiny", record(), key(server))
        with streams.running():
            fastmar("deploy", second)
            streams.wait_for_more()
            assert streams.changes() == [[OLD, NEW]] * 8
            fastmar("rollback", "tiny")
        assert streams.failures == []
        assert streams.changes() == [[OLD, NEW, OLD]] * 8

    def test_unloading_the_old_version_loses_no_request(
        self, server: RunningServer, fastmar: Any, tmp_path: Path, store: Path
    ) -> None:
        streams = Streams(server.url, "/predictions/tiny", record(), key(server))
        with streams.running():
            out, _ = fastmar("deploy", tiny_archive(tmp_path, "2.0", flipped=True), "--keep", 1)
            assert "Unloaded: tiny 1.0" in out
            assert workers(server) == 1
            assert (store / "unloaded" / "tiny-1.0.mar").exists()
            out, _ = fastmar("rollback", "tiny")
            assert "tiny 1.0, loaded again" in out
        assert streams.failures == []
        assert streams.changes() == [[OLD, NEW, OLD]] * 8

    def test_unloading_a_slow_version_loses_no_request(
        self, server: RunningServer, fastmar: Any, tmp_path: Path, store: Path
    ) -> None:
        slow = tiny_archive(store, "1.0", name="slow")
        changed(slow, fastmar_handler_py=SLOW, answer=golden(slow)[1][0])
        management(server).register(slow.name)
        streams = Streams(server.url, "/predictions/slow", record(), key(server), enough=2)
        with streams.running():
            quick = tiny_archive(tmp_path, "2.0", name="slow", flipped=True)
            out, _ = fastmar("deploy", quick, "--sample", 1, "--keep", 1)
            assert "Unloaded: slow 1.0" in out
        assert streams.failures == []
        assert streams.changes() == [[OLD, NEW]] * 8


def wait_for_line(server: RunningServer, line: str, within: float = 30.0) -> None:
    """Wait until the server's log has the line, which it copies from the audit log with a delay."""
    deadline = time.monotonic() + within
    while line not in (log := server.stderr.read_text()):
        assert time.monotonic() < deadline, log
        time.sleep(0.05)


def faulty(folder: Path, fault: str) -> Path:
    path = tiny_archive(folder, "2.0", flipped=True)
    _, answers = golden(path)
    match fault:
        case "breaking":
            return with_column_renamed(path, "workclass", "employer")
        case "errors":
            return changed(path, fastmar_handler_py=REFUSES_LATER)
        case "golden":  # the worker detects it
            answers[0] |= {"prediction": OLD, "index": 1}
            answers[0]["probabilities"] = dict(zip(answers[0]["probabilities"], (0.1, 0.9), strict=True))
            return changed(path, golden__answers=answers)
        case "unchecked":  # wrong answers, not detected by the worker
            return changed(path, fastmar_handler_py=UNCHECKED, answer=answers[0])
        case "raises":
            return changed(path, fastmar_handler_py=RAISES)
        case "hangs":
            return changed(path, fastmar_handler_py=HANGS)
    raise AssertionError(fault)


class TestFailures:
    """A failed deployment: the old version answers all requests, and nothing of the new version stays."""

    @pytest.mark.parametrize(
        ("fault", "options", "error", "code", "fact"),
        [
            ("breaking", [], "BreakingVersion", "breaking_changes", "employer"),
            ("errors", [], "NewErrors", "new_errors", "missing_column: 4"),
            ("golden", [], "VersionFailed", "load_failed", "golden record 0"),
            ("unchecked", [], "GoldenDiffers", "golden_differs", "golden record 1"),
            ("raises", [], "VersionFailed", "load_failed", "the weights are missing"),
            ("hangs", ["--timeout", 4], "VersionFailed", "workers_not_ready", "0 of 1"),
        ],
    )
    def test_faulty_version_never_becomes_the_default(
        self,
        server: RunningServer,
        fastmar: Any,
        ask: Any,
        store: Path,
        tmp_path: Path,
        fault: str,
        options: list[object],
        error: str,
        code: str,
        fact: str,
    ) -> None:
        streams = Streams(server.url, "/predictions/tiny", record(), key(server))
        with streams.running():
            out, err = fastmar("deploy", faulty(tmp_path, fault), *options, status=1)
        assert streams.failures == []
        assert streams.changes() == [[OLD]] * 8
        assert f"{error}: " in err
        assert fact in err
        assert "\n  Fix: " in err
        assert audit(store)[-1]["code"] == code
        assert audit(store)[-1].items() >= {"action": "deploy", "from": "1.0", "to": "2.0", "model": "tiny"}.items()
        assert audit(store)[-1]["result"] in ("refused", "failed")
        wait_for_line(server, f"fastmar: audit: {json.dumps(audit(store)[-1])}")
        assert out == "" or fault in ("breaking", "errors")
        assert ask(version="2.0") == 404
        assert names(store) == ["tiny-1.0.mar"]
        assert [version["modelVersion"] for version in management(server).describe("tiny")] == ["1.0"]
        assert requests.get(f"{server.url}/ping", timeout=10).status_code == 200
        assert server.process.poll() is None
        assert workers(server) == 1

    def test_too_many_changes(self, fastmar: Any, ask: Any, store: Path, tmp_path: Path) -> None:
        second = tiny_archive(tmp_path, "2.0", flipped=True)
        rows = tmp_path / "rows.csv"
        rows.write_text("workclass,grade,vip,age,hours\n Private,7,true,49,40.5\n State-gov,3,false,20,10\n")
        out, err = fastmar("deploy", second, "--requests", rows, "--max-changed", 0.5, status=1)
        assert "AnswersChanged" in err
        assert "100.0%" in err
        assert "2 answers of 1.0 and 2.0" in out
        assert ask() == OLD
        assert names(store) == ["tiny-1.0.mar"]

    def test_sigterm_undoes_the_deployment(self, server: RunningServer, ask: Any, store: Path, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "fastmar_cli.main", "deploy", faulty(tmp_path, "hangs"), "--url", server.url]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            while "2.0" not in [version["modelVersion"] for version in management(server).describe("tiny")]:
                assert process.poll() is None
            process.terminate()
            _, printed = process.communicate(timeout=30)
        assert process.returncode == 130
        assert printed == "Interrupted.\n"
        assert ask(version="2.0") == 404
        assert names(store) == ["tiny-1.0.mar"]


class TestStore:
    def test_refuses_the_same_version_twice(self, fastmar: Any, ask: Any, tmp_path: Path) -> None:
        second = tiny_archive(tmp_path, "2.0", flipped=True)
        fastmar("deploy", second)
        _, err = fastmar("deploy", second, status=1)
        assert "VersionTaken: tiny 2.0" in err
        assert ask() == NEW

    def test_archive_in_the_store(self, fastmar: Any, ask: Any, store: Path) -> None:
        out, _ = fastmar("deploy", tiny_archive(store, "2.0", flipped=True, file="new one.mar"), "--json")
        result = json.loads(out)
        assert (result["default"], result["before"], result["golden"]["records"]) == (True, "1.0", 4)
        assert result["shadow"]["changed"] == result["shadow"]["answers"] == 4
        assert ask() == NEW
        assert names(store) == ["defaults.json", "new one.mar", "tiny-1.0.mar"]

    def test_names_with_special_characters(self, fastmar: Any, ask: Any, tmp_path: Path) -> None:
        name, version = "my odd+model, ü=%", "2.0 beta"
        for number, each in enumerate((version, "3")):
            path = renamed(tiny_archive(tmp_path, file=f"{number}.mar", flipped=number == 1), name, each)
            fastmar("deploy", path)
        quoted = "my%20odd%2Bmodel%2C%20%C3%BC%3D%25"
        assert (ask(quoted), ask(quoted, "2.0%20beta")) == (NEW, OLD)
        fastmar("rollback", name)
        assert ask(quoted) == OLD

    def test_server_stays_ready_while_another_model_is_deployed(
        self, server: RunningServer, fastmar: Any, ask: Any, tmp_path: Path
    ) -> None:
        other = tiny_archive(tmp_path, name="other")
        assert requests.get(f"{server.url}/ping", timeout=10).status_code == 200
        fastmar("deploy", other)
        assert ask("other") == OLD
        assert requests.get(f"{server.url}/ping", timeout=10).status_code == 200

    def test_read_only_store(self, server: RunningServer, store: Path, ask: Any, tmp_path: Path) -> None:
        if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
            pytest.skip("this user can't create a mount namespace")
        there, elsewhere = tiny_archive(store, "2.0", flipped=True), tiny_archive(tmp_path, "3.0")
        remount = f'mount --bind "{store}" "{store}" && mount -o remount,bind,ro "{store}" && exec "$@"'

        def deploy(archive: Path) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "fastmar_cli.main", "deploy", str(archive), "--url", server.url]
            arguments = ["unshare", "--mount", "sh", "-c", remount, "sh", *command]
            return subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=60)

        refused = deploy(elsewhere)
        assert refused.returncode == 1
        assert "StoreRefused" in refused.stderr
        assert "Read-only file system" in refused.stderr
        assert names(store) == ["tiny-1.0.mar", "tiny-2.0.mar"]
        done = deploy(there)
        assert done.returncode == 0, done.stderr
        assert "defaults.json" in done.stderr  # the next start may use another default
        assert "tiny 2.0" in done.stderr
        assert ask() == NEW


class TestModels:
    def test_lists_all_versions(self, server: RunningServer, fastmar: Any, tmp_path: Path) -> None:
        fastmar("deploy", tiny_archive(tmp_path, "2.0"), "--no-default")
        out, _ = fastmar("models", "--json")
        first, second = json.loads(out)
        assert (first["version"], first["default"], first["workers"]) == ("2.0", False, {"ready": 1, "asked": 1})
        assert (second["version"], second["default"], second["file"]) == ("1.0", True, "tiny-1.0.mar")
        assert first["memory"] > 1_000_000
        assert first["loaded_at"] > second["loaded_at"]
        out, _ = fastmar("models")
        assert [line.split("│")[1:5] for line in out.splitlines() if "tiny" in line] == [
            [" tiny  ", " 2.0     ", "         ", " 1/1     "],
            [" tiny  ", " 1.0     ", " default ", " 1/1     "],
        ]

    def test_unloads_a_version(self, fastmar: Any, ask: Any, store: Path, tmp_path: Path) -> None:
        fastmar("deploy", tiny_archive(tmp_path, "2.0"), "--no-default")
        _, err = fastmar("models", "--unload", "tiny", "1.0", status=1)
        assert "VersionInUse: tiny 1.0" in err
        out, _ = fastmar("models", "--unload", "tiny", "2.0", "--json")
        assert [each["version"] for each in json.loads(out)] == ["1.0"]
        assert ask(version="2.0") == 404
        assert (store / "unloaded" / "tiny-2.0.mar").exists()

    def test_no_server_at_the_url(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["models", "--url", "http://127.0.0.1:1"]) == 1
        assert "ServerNotFound" in capsys.readouterr().err


def test_unloads_versions_without_the_program_kill(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """TorchServe ends workers with the program `kill`, which small containers lack."""
    programs, store = tmp_path / "bin", tmp_path / "store"
    programs.mkdir()
    store.mkdir()
    (programs / "java").symlink_to(find_java().path)
    tiny_archive(store, "1.0")
    command = ["/usr/bin/env", f"PATH={programs}", sys.executable, "-m", "fastmar_cli.main"]
    with running_server(store, command=command) as server:
        assert main(["deploy", str(tiny_archive(tmp_path, "2.0", flipped=True)), "--url", server.url]) == 0
        capsys.readouterr()
        assert main(["models", "--unload", "tiny", "1.0", "--json", "--url", server.url]) == 0
        assert [each["version"] for each in json.loads(capsys.readouterr().out)] == ["2.0"]
        assert workers(server) == 1


def test_restart_keeps_the_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = tmp_path / "store"
    store.mkdir()
    tiny_archive(store, "1.0")
    with running_server(store, "--workers", "2") as server:
        [version] = Management(server.management).describe("tiny")
        assert [worker["status"] for worker in version["workers"]] == ["READY", "READY"]
        assert main(["deploy", str(tiny_archive(tmp_path, "2.0", flipped=True)), "--url", server.url]) == 0
        assert workers(server) == 4  # two for each version
        assert main(["rollback", "tiny", "--url", server.url]) == 0
    with running_server(store) as server:
        capsys.readouterr()
        assert main(["models", "--json", "--url", server.url]) == 0
        loaded = json.loads(capsys.readouterr().out)
        assert [(each["version"], each["default"]) for each in loaded] == [("2.0", False), ("1.0", True)]
        reply = requests.post(f"{server.url}/predictions/tiny", json=record(), timeout=30)
        assert reply.json()["prediction"] == OLD
        urls = [line.strip().split()[2] for line in server.lines if line.strip().startswith("curl")]
        # The sample request for the default names no version, so that it follows deployments.
        assert urls == [f"{server.url}/predictions/tiny", f"{server.url}/predictions/tiny/2.0"]
