"""Details of `fastmar deploy` and `models` with a real server. tests/engines/test_deployments.py has the rest."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from fastmar_cli.main import main
from fastmar_serving.audit import FILE as AUDIT
from fastmar_serving.management import Management, management_key
from fastmar_serving.testing import RunningServer, running_server
from fastmar_serving.torchserve.java import find_java
from tests.archives import (
    tiny_archive,
)
from tests.engines import FAST, workers
from tests.engines.calls import command_runner

pytestmark = pytest.mark.asgi

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
    with FAST.serve(store, "--token") as running:
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
    return command_runner(server, capsys)


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


def names(store: Path) -> list[str]:
    """Files of the store except the audit log."""
    return sorted(path.name for path in store.iterdir() if path.name != AUDIT)


class TestStore:
    def test_refuses_the_same_version_twice(self, fastmar: Any, ask: Any, tmp_path: Path) -> None:
        second = tiny_archive(tmp_path, "2.0", flipped=True)
        fastmar("deploy", second)
        _, err = fastmar("deploy", second, status=1)
        assert "VersionTaken: this archive of tiny 2.0 is loaded already" in err
        assert ask() == NEW

    def test_archive_in_the_store(self, fastmar: Any, ask: Any, store: Path) -> None:
        out, _ = fastmar("deploy", tiny_archive(store, "2.0", flipped=True, file="new one.mar"), "--json")
        result = json.loads(out)
        assert (result["default"], result["before"], result["golden"]["records"]) == (True, "1.0", 4)
        assert result["shadow"]["changed"] == result["shadow"]["answers"] == 4
        assert ask() == NEW
        assert names(store) == ["defaults.json", "new one.mar", "tiny-1.0.mar"]

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


class TestFailures:
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


class TestModels:
    def test_lists_all_versions(self, fastmar: Any, tmp_path: Path) -> None:
        fastmar("deploy", tiny_archive(tmp_path, "2.0"), "--no-default")
        out, _ = fastmar("models")
        assert [line.split("│")[1:4] for line in out.splitlines() if "tiny" in line] == [
            [" tiny  ", " 2.0     ", "         "],
            [" tiny  ", " 1.0     ", " default "],
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


@pytest.mark.torchserve
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
        assert len(workers(server)) == 1
