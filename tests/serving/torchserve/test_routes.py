"""Health checks, a fixed key and a platform's routes on a real server."""

from __future__ import annotations

import json
import re
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

import pytest
from tests.serving.torchserve.conftest import ECHO

from fastmar_serving import errors, registry
from fastmar_serving.keys import make_keys, read_keys
from fastmar_serving.management import Management, management_key
from fastmar_serving.ports import free_port
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
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
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
    def test_503_until_the_models_are_loaded(self, echo_store: Path, tmp_path: Path) -> None:
        port = free_port("127.0.0.1")
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
class TestFixedKey:
    def test_workers_do_not_get_the_key(self, keyed: RunningServer) -> None:
        environment = ask(keyed.url + "/predictions/echo", {"environment": True}, KEY).body["environment"]
        assert not [name for name, value in environment.items() if value == KEY]


class TestKeyFile:
    @pytest.mark.parametrize(
        "text",
        ["", "short", "with spaces in between it", "käse-käse-käse-käse", f"#{KEY}", f"{KEY}\nshort", f" # {KEY}"],
    )
    def test_refuses_invalid_keys(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "key").write_text(text)
        with pytest.raises(errors.ConfigRefused):
            read_keys(tmp_path / "key")

    def test_refuses_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(errors.ConfigRefused) as caught:
            read_keys(tmp_path / "key")
        assert caught.value.code == "key_file_unreadable"

    def test_key_file_enables_keys_and_no_token_disables_them(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text(f" {KEY}\n")
        assert Settings(key_file=tmp_path / "key").needs_tokens
        assert make_keys(Settings(key_file=tmp_path / "key")).inference == (KEY,)
        assert make_keys(Settings(key_file=tmp_path / "key", tokens=False)).inference is None

    def test_several_keys(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text(f"# a comment\n{KEY}\n\n{KEY}-2 \r\n")
        assert read_keys(tmp_path / "key") == (KEY, f"{KEY}-2")
