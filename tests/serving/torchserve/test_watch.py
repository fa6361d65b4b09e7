"""What the launcher tells probes, with a management API that answers as it is told, or not at all."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fastmar_serving.torchserve import watch as watching
from fastmar_serving.torchserve.archives import read_archive
from fastmar_serving.torchserve.config import RunDirectory, Settings
from fastmar_serving.torchserve.control import Control, State
from fastmar_serving.torchserve.errors import NotReady
from fastmar_serving.torchserve.launcher import Stop, wait_until_ready
from fastmar_serving.torchserve.management import READY, Management, ManagementError
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
    """Takes what it is told."""

    def __init__(self) -> None:
        self.served: dict[str, Any] = {}

    def send(self, **message: Any) -> State:
        self.served = message.get("served", self.served)
        return State(in_flight=0, connections=0, busy_connections=0, models={}, takes_sockets=True)

    def status(self, path: str) -> int:
        return int(self.served["answers"][path]["status"])


class Clock:
    """Time that passes when it is told to."""

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
def watch(run: RunDirectory, api: Fake, clock: Clock, front: Front) -> Watch:
    watch = Watch(run, cast(Management, api), cast(Control, front), store=run.path, expected=["echo"])
    watch.start()
    return watch


def test_a_model_that_is_unregistered_is_missed(
    watch: Watch, run: RunDirectory, api: Fake, clock: Clock, front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    assert front.status("/ping") == front.status("/v1/models/echo") == 200
    api.registered = []
    clock.now += PERIOD
    watch.poll()
    assert front.status("/ping") == front.status("/v2/health/ready") == 503
    assert "/v1/models/echo" not in front.served["answers"]
    assert not run.ready_file.exists()
    assert caplog.messages == ["not ready: echo is not registered any more"]


def test_a_model_that_is_deployed_is_promised_once_it_is_ready_and_missed_once_it_lasted(
    watch: Watch, api: Fake, clock: Clock, front: Front
) -> None:
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


def test_a_server_that_stops_is_not_ready_but_alive(watch: Watch, front: Front) -> None:
    watch.stop()
    for path in ("/ping", "/v2/health/ready", "/v1/models/echo", "/v2/models/echo/versions/1.0/ready"):
        assert front.status(path) == 503
    assert front.status("/v2/health/live") == front.status("/") == 200


def test_a_worker_that_is_gone_is_told_and_so_is_its_return(
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
    assert caplog.messages == ["not ready: no worker answers for echo", "ready again"]


def test_a_server_that_does_not_say_is_believed_for_a_while_and_then_not(
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
    told, again = caplog.messages
    assert told.startswith("not ready: the management API does not say what is served (400: Token Authorization failed")
    assert again == "ready again"


def test_a_server_that_hangs_is_not_waited_for(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "STALE_AFTER", -1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections and says nothing
        management = Management(f"http://127.0.0.1:{silent.getsockname()[1]}")
        watch = Watch(run, management, cast(Control, Front()), store=run.path)
        watch.start()
        assert not run.ready_file.exists()


def test_a_full_disk_is_warned_of_once_and_written_to_when_it_can_be(
    watch: Watch, run: RunDirectory, api: Fake, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(run.path)  # nothing can be written
    for status in (READY, "UNLOADING", READY):
        api.status = status
        clock.now += PERIOD
        watch.poll()
    watch.stop()
    [warning] = [text for text in caplog.messages if "may be misled" in text]
    assert "[Errno 2]" in warning
    run.path.mkdir()
    clock.now += PERIOD
    watch.poll()
    assert run.ready_file.exists()


def test_the_last_refusal_is_told_when_the_time_is_over(tmp_path: Path, archive: Any, api: Fake) -> None:
    api.failure = EXPIRED
    found = [read_archive(archive(tmp_path, "echo", ""))]
    server: Any = SimpleNamespace(status=lambda: None, log=SimpleNamespace(failures={}))
    with pytest.raises(NotReady, match=r"echo 1.0 not ready within 0 s. TorchServe says: 400: Token .*\n  Fix: "):
        wait_until_ready(server, cast(Management, api), found, Settings(ready_timeout=0.0), Stop())
