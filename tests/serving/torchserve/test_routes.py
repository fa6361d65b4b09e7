"""Health checks, a fixed key and a platform's routes on a real server."""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.serving.torchserve.conftest import ECHO

from fastmar_serving import errors, registry
from fastmar_serving.management import Management, ManagementError, management_key
from fastmar_serving.settings import Settings
from fastmar_serving.testing import RunningServer, running_server

KEY = "0123456789abcdef-fixed"
PROBES = ["/ping", "/v2/health/live", "/v2/health/ready", "/v1/models/echo", "/v2/models/echo/ready", "/ping?a=b"]

torchserve = pytest.mark.torchserve


@dataclass
class Answer:
    status: int
    body: Any


def ask(url: str, record: Any = None, key: str | None = None) -> Answer:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if record is None else json.dumps(record).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=10) as answer:
            return Answer(answer.status, json.loads(answer.read()))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, json.loads(error.read()))


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"timeout: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def keyed(echo_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with a fixed key."""
    folder = tmp_path_factory.mktemp("keyed")
    (folder / "key").write_text(KEY + "\n")
    with running_server(echo_store, "--key-file", str(folder / "key"), "--run-dir", str(folder / "run")) as server:
        yield server


@torchserve
class TestHealth:
    @pytest.mark.parametrize("path", PROBES)
    def test_probes_need_no_key(self, keyed: RunningServer, path: str) -> None:
        assert ask(keyed.url + path).status == 200

    def test_503_until_the_models_are_loaded(self, echo_store: Path, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        arguments = ["serve", "--model-store", str(echo_store), "--port", str(port), "--metrics-port", "0"]
        server = subprocess.Popen(
            [sys.executable, "-m", "fastmar_cli.main", *arguments, "--run-dir", str(tmp_path / "run")],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        seen: list[int] = []

        def healthy() -> bool:
            try:
                seen.append(ask(f"http://127.0.0.1:{port}/ping").status)
            except OSError:
                return False
            return seen[-1] == 200

        try:
            wait_for(healthy, "a healthy server")
            answer = ask(f"http://127.0.0.1:{port}/predictions/echo", {"a": 1})
            assert answer == Answer(200, {"prediction": {"a": 1}})
            assert (tmp_path / "run" / "ready").exists()
        finally:
            server.terminate()
            server.communicate(timeout=30)
        assert 503 in seen
        assert set(seen) == {200, 503}
        assert not (tmp_path / "run" / "ready").exists()

    def test_503_while_there_is_no_worker(self, keyed: RunningServer) -> None:
        family = psutil.Process(keyed.process.pid).children(recursive=True)
        workers = [process for process in family if "model_service_worker" in " ".join(process.cmdline())]
        assert workers
        for worker in workers:
            worker.kill()
        wait_for(lambda: ask(keyed.url + "/ping").status == 503, "an unready server")
        wait_for(lambda: ask(keyed.url + "/ping").status == 200, "a server that is ready again")
        assert ask(keyed.url + "/predictions/echo", 7, KEY) == Answer(200, {"prediction": 7})


@torchserve
def test_refuses_a_second_server_in_the_same_run_directory(keyed: RunningServer, echo_store: Path) -> None:
    running = registry.find(keyed.url)
    assert running is not None
    with (
        pytest.raises(RuntimeError, match=f"ConfigRefused: .*{re.escape(running.run_dir)}"),
        running_server(echo_store, "--run-dir", running.run_dir),
    ):
        pass
    assert ask(keyed.url + "/ping").status == 200
    assert ask(keyed.url + "/predictions/echo", 7, KEY) == Answer(200, {"prediction": 7})
    assert Management(running.management, lambda: management_key(Path(running.key_file or ""))).names() == ["echo"]


@torchserve
@pytest.mark.parametrize("path", ["/..", "/../health", "/%2e%2e/ready", "/PING", "/ping/", "/v1/models/echo%2F"])
def test_similar_paths_need_the_key(keyed: RunningServer, path: str) -> None:
    assert ask(keyed.url + path).status == 401


COLUMNS = 3000


@pytest.fixture(scope="module")
def awkward(archive: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with keys and one model that has many columns, and a name and a version that begin with "token"."""
    store = tmp_path_factory.mktemp("awkward")
    path = archive(store, "tokens", ECHO, version="token-1")
    fields = [{"name": f"a column of the survey, question {number}", "kind": "number"} for number in range(COLUMNS)]
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    members["spec.json"] = json.dumps({"fields": fields, "decode": {"decoder": "regression"}}).encode()
    with zipfile.ZipFile(path, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)
    with running_server(store, "--token") as server:
        yield server


def awkward_key(server: RunningServer, kind: str) -> str:
    assert server.key_file is not None
    key: str = json.loads(server.key_file.read_text())[kind]["key"]
    return key


@torchserve
class TestAwkwardModels:
    def test_a_name_and_a_version_that_begin_with_token(self, awkward: RunningServer) -> None:
        key = awkward_key(awkward, "inference")
        assert ask(awkward.url + "/v1/models/tokens").status == 200
        assert ask(awkward.url + "/predictions/tokens/token-1", 7, key) == Answer(200, {"prediction": 7})
        assert ask(awkward.url + "/v1/models", key=key).body["details"][0]["versions"] == ["token-1"]

    def test_metadata_of_many_columns(self, awkward: RunningServer) -> None:
        answer = ask(awkward.url + "/v2/models/tokens", key=awkward_key(awkward, "inference"))
        assert answer.status == 200
        assert len(answer.body["inputs"]) == COLUMNS

    def test_a_model_that_is_registered_while_the_server_runs(
        self, awkward: RunningServer, archive: Callable[..., Path]
    ) -> None:
        running = registry.find(awkward.url)
        assert running is not None
        key = awkward_key(awkward, "inference")
        assert ask(awkward.url + "/v1/models/later", key=key).status == 404
        archive(Path(running.model_store), "later", ECHO)
        Management(running.management, lambda: awkward_key(awkward, "management")).register("later-1.0.mar")
        for path in ("/v1/models/later", "/v2/models/later/ready"):
            wait_for(lambda path=path: ask(awkward.url + path).status == 200, path)  # type: ignore[misc]
            assert ask(awkward.url + path).body == {"name": "later", "ready": True}
        assert ask(awkward.url + "/v2/models/later/versions/1.0/infer", 7, key).status == 200
        assert ask(awkward.url + "/v1/models", key=key).body["models"] == ["later", "tokens"]


@torchserve
def test_list_of_models_needs_the_key(keyed: RunningServer) -> None:
    assert ask(keyed.url + "/v1/models").status == 401
    listed = {"name": "echo", "version": "1.0", "versions": ["1.0"], "ready": True}
    assert ask(keyed.url + "/v1/models", key=KEY) == Answer(200, {"models": ["echo"], "details": [listed]})


@torchserve
class TestFixedKey:
    def test_allows_the_inference_api(self, keyed: RunningServer) -> None:
        assert ask(keyed.url + "/predictions/echo", {"a": 1}, KEY) == Answer(200, {"prediction": {"a": 1}})

    @pytest.mark.parametrize("path", ["/v1/models/echo:predict", "/v2/models/echo/infer"])
    def test_allows_the_protocols_of_kserve(self, keyed: RunningServer, path: str) -> None:
        assert ask(keyed.url + path, {"a": 1}).status == 401
        assert ask(keyed.url + path, {"a": 1}, KEY).status == 200

    @pytest.mark.parametrize("key", [None, "", KEY[:-1], KEY + "x", KEY.upper()])
    def test_other_keys_are_refused(self, keyed: RunningServer, key: str | None) -> None:
        assert ask(keyed.url + "/predictions/echo", {"a": 1}, key).status == 401

    def test_management_api_has_a_generated_key(self, keyed: RunningServer) -> None:
        running = registry.find(keyed.url)
        assert running is not None
        assert running.key_file is not None
        keys = json.loads(Path(running.key_file).read_text())
        assert "inference" not in keys  # the fixed key is not copied
        assert ask(keyed.url + "/predictions/echo", {"a": 1}, keys["management"]["key"]).status == 401
        with pytest.raises(ManagementError) as refused:
            Management(running.management, lambda: KEY).names()
        assert refused.value.status == 401
        assert Management(running.management, lambda: keys["management"]["key"]).names() == ["echo"]

    def test_workers_do_not_get_the_key(self, keyed: RunningServer) -> None:
        environment = ask(keyed.url + "/predictions/echo", {"environment": True}, KEY).body["environment"]
        assert not [name for name, value in environment.items() if value == KEY]


@torchserve
def test_routes_of_a_platform(echo_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    route = "/v1/endpoints/123/deployedModels/456"
    monkeypatch.setenv("AIP_HTTP_PORT", "8080")
    monkeypatch.setenv("AIP_HEALTH_ROUTE", route)
    monkeypatch.setenv("AIP_PREDICT_ROUTE", route + ":predict")
    with running_server(echo_store, "--host", "127.0.0.1") as server:
        assert ask(server.url + route).status == 200
        assert ask(server.url + route + ":predict", {"a": 1}) == Answer(200, {"prediction": {"a": 1}})
        assert ask(server.url + route + ":else", {"a": 1}).status == 404


class TestKeyFile:
    @pytest.mark.parametrize("text", ["", "short", "with spaces in between it", "käse-käse-käse-käse"])
    def test_refuses_invalid_keys(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "key").write_text(text)
        with pytest.raises(errors.ConfigRefused):
            Settings(key_file=tmp_path / "key").key()

    def test_refuses_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(errors.ConfigRefused) as caught:
            Settings(key_file=tmp_path / "key").key()
        assert caught.value.code == "key_file_unreadable"

    def test_key_file_enables_keys_and_no_token_disables_them(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text(f" {KEY}\n")
        assert Settings(key_file=tmp_path / "key").needs_tokens
        assert Settings(key_file=tmp_path / "key").key() == KEY
        assert Settings(key_file=tmp_path / "key", tokens=False).key() is None


@torchserve
def test_documents_of_the_server_need_the_key(keyed: RunningServer) -> None:
    for path in ("/docs", "/schema", "/openapi.json"):
        assert ask(keyed.url + path).status == 401
    listed = ask(keyed.url + "/schema", key=KEY).body["models"]
    assert [model["name"] for model in listed] == ["echo"]
    assert ask(keyed.url + "/openapi.json", key=KEY).body["openapi"].startswith("3.1")


@torchserve
def test_browsers_send_the_key_as_a_password(keyed: RunningServer) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(keyed.url + "/docs", timeout=10)
    with refused.value as error:
        assert [value.split()[0] for value in error.headers.get_all("WWW-Authenticate")] == ["Bearer", "Basic"]
    for password, status in ((KEY, 200), (KEY[:-1], 401), ("", 401)):
        pair = base64.b64encode(f"anybody:{password}".encode()).decode()
        request = urllib.request.Request(keyed.url + "/docs", headers={"Authorization": f"Basic {pair}"})
        if status == 401:
            with pytest.raises(urllib.error.HTTPError) as error:
                urllib.request.urlopen(request, timeout=10)
            assert error.value.code == 401
            error.value.close()
            continue
        with urllib.request.urlopen(request, timeout=10) as page:
            assert page.headers["Content-Type"] == "text/html; charset=utf-8"
            assert b"predictions/echo/docs" in page.read()
