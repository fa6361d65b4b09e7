"""The worker's loading of versions, and the log lines about its requests."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fastmar_runtime.batching import Batcher
from fastmar_runtime.engines import asgi_models
from fastmar_runtime.engines.asgi import Application
from fastmar_runtime.engines.asgi_configuration import Configuration
from fastmar_runtime.engines.asgi_models import Worker
from fastmar_runtime.errors import GoldenMismatch
from fastmar_runtime.http.routes import Models, Version
from fastmar_runtime.logs import JsonFormatter
from fastmar_runtime.observer import Observer
from fastmar_runtime.service import Service
from tests import coroutines
from tests.archives import changed, golden, tiny_archive
from tests.runtime import tiny

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def archive(path: Path, version: str) -> dict[str, str]:
    return {"path": str(path), "name": "tiny", "version": version}


def test_a_killed_worker_is_logged_once_with_all_versions(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    archives = [archive(tiny_archive(tmp_path, version), version) for version in ("1.0", "2.0")]
    profiles = tmp_path / "profiles"
    profiles.mkdir()
    for version in ("1.0", "2.0"):  # of a process with the largest number, which wrote no last report
        name = f"tiny_{version}_20260301_{socket.gethostname()}_0_4194305.jsonl"
        (profiles / name).write_text('{"rows":3}\n')
    Worker(Configuration(0, archives, {"tiny": "1.0"}, profiles=str(profiles)), lambda *_: None)
    [line] = [record.getMessage() for record in caplog.records if "killed" in record.getMessage()]
    assert "counts of tiny 1.0, tiny 2.0 since its last report" in line


def test_error_of_an_archive_names_its_model(tmp_path: Path) -> None:
    good, bad = (tiny_archive(tmp_path, version) for version in ("1.0", "2.0"))
    _, answers = golden(bad)
    answers[0]["probabilities"] = dict.fromkeys(answers[0]["probabilities"], 0.5)
    bad = changed(bad, golden__answers=answers)
    with pytest.raises(GoldenMismatch) as caught:
        Worker(Configuration(0, [archive(good, "1.0"), archive(bad, "2.0")], {"tiny": "1.0"}), lambda *_: None)
    assert caught.value.message.startswith(f"tiny 2.0 ({bad.name}) does not load: ")


def test_version_that_loads_after_the_launcher_gave_up_is_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (archive(tiny_archive(tmp_path, version), version) for version in ("1.0", "2.0"))
    worker = Worker(Configuration(0, [first], {"tiny": "1.0"}), lambda *_: None)
    load, go_on = asgi_models.load, threading.Event()

    def slow(*arguments: Any) -> Version:
        assert go_on.wait(20)
        return load(*arguments)

    monkeypatch.setattr(asgi_models, "load", slow)

    async def run() -> None:
        loading = asyncio.ensure_future(worker.execute({"command": "load", "archives": [second]}))
        await asyncio.sleep(0.05)
        served = {"tiny": {"default": "1.0", "versions": ["1.0"]}}
        await worker.execute({"command": "serve", "models": served})
        go_on.set()
        await loading
        with pytest.raises(KeyError):
            await worker.execute({"command": "serve", "models": {"tiny": {"default": "2.0", "versions": ["2.0"]}}})

    coroutines.run(run())


def test_process_does_not_wait_for_a_version_that_loads() -> None:
    program = """if True:
        import asyncio, time
        from fastmar_runtime.engines.asgi_models import _in_daemon
        async def main():
            loading = asyncio.ensure_future(_in_daemon(time.sleep, 600))
            await asyncio.sleep(0.1)
        asyncio.run(main())
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))


async def post(application: Application, name: str, record: Any, **headers: str) -> int:
    """The status of a request with a record."""
    sent: list[Any] = []
    messages = [{"type": "http.request", "body": json.dumps(record).encode()}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"content-type": "application/json", "x-request-id": name, **headers}
    scope = {
        "type": "http",
        "scheme": "http",
        "method": "POST",
        "path": "/predictions/tiny",
        "query_string": b"",
        "headers": [(key.encode(), value.encode()) for key, value in given.items()],
    }
    await application(scope, receive, send)
    assert dict(sent[0]["headers"])[b"x-request-id"] == name.encode()
    return int(sent[0]["status"])


@pytest.mark.parametrize("in_thread", [False, True])
def test_log_lines_name_the_request_that_failed(in_thread: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = tiny.predictor()
    predict = predictor.predict

    def broken(records: list[Any], *arguments: Any) -> Any:
        if any(record["age"] == 13 for record in records):
            raise RuntimeError("a bug")
        return predict(records, *arguments)

    monkeypatch.setattr(predictor, "predict", broken)
    spec = predictor.spec
    service = Service(predictor, 1 << 20)
    version = Version("tiny", "1.0", spec, service, Batcher(service, in_thread=in_thread))
    application = Application(Models({"tiny": {"1.0": version}}, {"tiny": "1.0"}))
    good, bad = tiny.record(), {**tiny.record(), "age": 13}

    async def run() -> list[int]:
        traced = post(application, "second", bad, traceparent=f"00-{TRACE}-{PARENT}-01")
        return await asyncio.gather(post(application, "first", good), traced, post(application, "third", good))

    handler = Lines()
    log = logging.getLogger("fastmar_runtime.service")
    log.addHandler(handler)
    try:
        assert coroutines.run(run()) == [200, 500, 200]
    finally:
        log.removeHandler(handler)
        version.batcher.close()
    [together, alone] = handler.lines
    assert "request_id" not in together  # a batch belongs to no single request
    assert (alone["request_id"], alone["trace_id"]) == ("second", TRACE)
    assert "a bug" in alone["exception"]
    assert not [line for line in handler.lines if "workclass" in json.dumps(line)]  # nothing of the bodies


class Statuses(Observer):
    def __init__(self) -> None:
        self.seen: list[int] = []

    def responded(self, statuses: Sequence[int], seconds: float) -> None:
        self.seen += statuses


@pytest.mark.parametrize("reason", ["overloaded", "response timeout"])
def test_requests_that_reach_no_batch_are_counted(reason: str) -> None:
    statuses, wait = Statuses(), threading.Event()
    service = Service(tiny.predictor(), 1 << 20, [statuses])
    batcher = Batcher(service, in_thread=True, max_waiting=0 if reason == "overloaded" else 1)
    version = Version("tiny", "1.0", service.spec, service, batcher)
    application = Application(Models({"tiny": {"1.0": version}}, {"tiny": "1.0"}), response_timeout=0.05)

    async def run() -> int:
        blocked = asyncio.ensure_future(batcher.call(lambda: wait.wait(20)))
        await asyncio.sleep(0)
        status = await post(application, "one", tiny.record())
        wait.set()
        await blocked
        if batcher._task is not None:
            await batcher._task
        batcher.close()
        return status

    assert coroutines.run(run()) == 503
    assert statuses.seen == [503]
