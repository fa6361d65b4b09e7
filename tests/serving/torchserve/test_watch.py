"""Readiness as the launcher reports it, with a fake management API and a fake front."""

from __future__ import annotations

import logging
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fastmar_serving.archives import read_archive
from fastmar_serving.errors import NotReady
from fastmar_serving.management import READY, Management, ManagementError
from fastmar_serving.run_directory import RunDirectory
from fastmar_serving.settings import Settings
from fastmar_serving.signals import Stop
from fastmar_serving.torchserve import watch as watching
from fastmar_serving.torchserve.control import Control, State
from fastmar_serving.torchserve.launcher import wait_until_ready
from fastmar_serving.torchserve.watch import EXPECTED_AFTER, PERIOD, STALE_AFTER, Watch

EXPIRED = ManagementError(400, "Token Authorization failed. Token either incorrect, expired, or not provided correctly")


class Fake:
    """One model with one worker."""

    def __init__(self) -> None:
        self.status = READY
        self.failure: Exception | None = None

        self.registered = ["echo"]

    def names(self) -> list[str]:
        return self.registered

    def describe(self, name: str) -> list[dict[str, Any]]:
        if self.failure:
            raise self.failure
        return [{"modelVersion": "1.0", "modelUrl": "none.mar", "workers": [{"status": self.status}]}]

    describe_default = describe


class Front:
    """A fake front that stores the last message."""

    def __init__(self) -> None:
        self.served: dict[str, Any] = {}

    def send(self, **message: Any) -> State:
        self.served = message.get("served", self.served)
        return State(in_flight=0, connections=0, busy_connections=0, models={}, takes_sockets=True)

    def status(self, path: str) -> int:
        return int(self.served["answers"][path]["status"])


class Clock:
    """A clock that tests advance."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(watching, "time", SimpleNamespace(monotonic=clock))
    return clock


@pytest.fixture
def api() -> Fake:
    return Fake()


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    path = tmp_path / "run"
    path.mkdir()
    return RunDirectory(path)


@pytest.fixture
def front() -> Front:
    return Front()


@pytest.fixture
def watch(run: RunDirectory, api: Fake, clock: Clock, front: Front, caplog: pytest.LogCaptureFixture) -> Watch:
    caplog.set_level(logging.INFO)
    watch = Watch(run, cast(Management, api), cast(Control, front), store=run.path, expected=["echo"])
    watch.start()
    return watch


def test_not_ready_after_a_model_was_unregistered(
    watch: Watch, run: RunDirectory, api: Fake, clock: Clock, front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    assert front.status("/ping") == front.status("/v1/models/echo") == 200
    api.registered = []
    clock.now += PERIOD
    watch.poll()
    assert front.status("/ping") == front.status("/v2/health/ready") == 503
    assert "/v1/models/echo" not in front.served["answers"]
    assert not run.ready_file.exists()
    [message] = caplog.messages
    assert "echo" in message


def test_a_deployed_model_is_expected_after_a_while(watch: Watch, api: Fake, clock: Clock, front: Front) -> None:
    api.registered = ["echo", "later"]
    clock.now += PERIOD
    watch.poll()
    assert front.status("/v1/models/later") == 200
    api.registered = ["echo"]  # its deployment failed
    clock.now += PERIOD
    watch.poll()
    assert front.status("/ping") == 200
    for registered in (["echo", "later"], ["echo", "later"], ["echo"]):
        api.registered = registered
        clock.now += EXPECTED_AFTER + 1
        watch.poll()
    assert front.status("/ping") == 503


def test_ready_without_a_model_that_was_removed_on_purpose(
    watch: Watch, run: RunDirectory, api: Fake, clock: Clock, front: Front
) -> None:
    def status_of(*registered: str) -> int:
        api.registered = list(registered)
        clock.now += PERIOD
        watch.poll()
        return front.status("/ping")

    run.removals_file.write_text('"later"\n"echo"\n"ech')
    assert status_of("echo") == 200
    assert status_of() == 200
    assert "/v1/models/echo" not in front.served["answers"]
    assert status_of("echo") == 200  # deployed again
    clock.now += EXPECTED_AFTER
    assert status_of("echo") == 200
    assert status_of() == 503


def test_a_stopping_server_is_alive_but_not_ready(watch: Watch, front: Front) -> None:
    watch.stop()
    for path in ("/ping", "/v2/health/ready", "/v1/models/echo", "/v2/models/echo/versions/1.0/ready"):
        assert front.status(path) == 503
    assert front.status("/v2/health/live") == front.status("/") == 200


def test_not_ready_without_workers_until_they_return(
    watch: Watch, run: RunDirectory, api: Fake, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    assert run.ready_file.exists()
    api.status = "UNLOADING"
    watch.poll()
    assert run.ready_file.exists()  # the next poll is not due
    clock.now += PERIOD
    watch.poll()
    assert not run.ready_file.exists()
    api.status = READY
    clock.now += PERIOD
    watch.poll()
    assert run.ready_file.exists()
    not_ready, ready_again = caplog.messages
    assert "echo" in not_ready
    assert "again" in ready_again
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_not_ready_if_the_management_api_fails_for_too_long(
    watch: Watch, run: RunDirectory, api: Fake, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    api.failure = EXPIRED
    clock.now += STALE_AFTER
    watch.poll()
    assert run.ready_file.exists()
    assert caplog.messages == []
    for _ in range(3):
        clock.now += PERIOD
        watch.poll()
        assert not run.ready_file.exists()
    api.failure = None
    clock.now += PERIOD
    watch.poll()
    assert run.ready_file.exists()
    not_ready, ready_again = caplog.messages
    assert "400: Token Authorization failed" in not_ready
    assert "again" in ready_again
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_management_api_does_not_respond(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "STALE_AFTER", -1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts connections and sends nothing
        management = Management(f"http://127.0.0.1:{silent.getsockname()[1]}")
        watch = Watch(run, management, cast(Control, Front()), store=run.path)
        watch.start()
        assert not run.ready_file.exists()


def test_warns_once_if_the_ready_file_cannot_be_written(
    watch: Watch, run: RunDirectory, api: Fake, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(run.path)  # nothing can be written
    for status in (READY, "UNLOADING", READY):
        api.status = status
        clock.now += PERIOD
        watch.poll()
    watch.stop()
    [warning] = [text for text in caplog.messages if str(run.ready_file) in text]
    assert "[Errno 2]" in warning
    run.path.mkdir()
    clock.now += PERIOD
    watch.poll()
    assert run.ready_file.exists()


def test_timeout_names_the_last_refusal_of_torchserve(tmp_path: Path, archive: Any, api: Fake) -> None:
    api.failure = EXPIRED
    found = [read_archive(archive(tmp_path, "echo", ""))]
    server: Any = SimpleNamespace(status=lambda: None, log=SimpleNamespace(failures={}))
    with pytest.raises(NotReady) as caught:
        wait_until_ready(server, cast(Management, api), found, Settings(ready_timeout=0.0), Stop())
    assert "echo 1.0" in caught.value.message
    assert "400: Token" in caught.value.message
