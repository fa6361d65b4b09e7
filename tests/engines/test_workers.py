"""Workers that are killed, hang, or don't load. With FASTMAR_LONG_TESTS=1 workers are killed for a minute."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fastmar_client import Client
from tests.archives import changed, golden
from tests.engines import LONG, Engine, needs, workers
from tests.engines.calls import OLD, post, prediction, wait_for

pytestmark = needs("launcher")

STREAMS = 8
EVERY = 5.0  # seconds between two deaths
SECONDS = 60.0 if LONG else 6.0
BATCH = 16


def test_predict_many_survives_workers_that_die(engine: Engine, tiny_store: Path) -> None:
    """Each record is answered once and right while first all workers die, then one of two each time."""
    records, answers = golden(tiny_store / "tiny-1.0.mar")
    stop = threading.Event()
    sent = [0] * STREAMS
    kills = 0

    def endless(stream: int) -> Any:
        while not stop.is_set():
            for record in records:
                sent[stream] += 1
                yield record

    def check(stream: int) -> int:
        """Compare each answer of a stream with the recorded one, and return their number."""
        count = 0
        with Client(server.url, timeout=(3, 20)) as client:
            for count, answer in enumerate(client.predict_many("tiny", endless(stream), batch_size=BATCH), 1):
                expected = answers[(count - 1) % len(answers)]
                assert answer["prediction"] == expected["prediction"]
                assert answer["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)
        return count

    with engine.serve(tiny_store, "--workers", "2") as server, ThreadPoolExecutor(STREAMS) as pool:
        streams = [pool.submit(check, stream) for stream in range(STREAMS)]
        ends = time.monotonic() + SECONDS
        try:
            wait_for(lambda: min(sent) > 0)
            while time.monotonic() < ends and not any(stream.done() for stream in streams):
                time.sleep(min(EVERY, max(ends - time.monotonic(), 0)) if kills else 0)
                for worker in workers(server)[: 1 if kills else 2]:
                    worker.kill()
                    kills += 1
            wait_for(lambda: min(sent) > BATCH or any(stream.done() for stream in streams), 120)
        finally:
            stop.set()
        counts = [stream.result(timeout=120) for stream in streams]
    print(json.dumps({"killed": kills, "answered": counts}))
    assert kills >= 2
    assert counts == sent, "each record is answered once"
    assert min(counts) > BATCH


def test_killed_worker_is_logged_once(engine: Engine, tiny_store: Path) -> None:
    with engine.serve(tiny_store, "--workers", "1") as server:
        [before] = workers(server)
        wait_for(lambda: prediction(server, key=None) == OLD)
        before.kill()
        wait_for(lambda: f"worker {before.pid} was killed" in server.stderr.read_text())
        wait_for(lambda: workers(server) and before.pid not in [worker.pid for worker in workers(server)])
        assert server.stop() == 0
        lines = server.stderr.read_text().splitlines()
    assert len([line for line in lines if f"worker {before.pid} " in line and "replaced" in line]) == 1
    assert not [line for line in lines if "Unknown exception" in line]


def test_worker_that_hangs_is_replaced(engine: Engine, tiny_store: Path) -> None:
    with engine.serve(tiny_store, "--workers", "1", "--hang-timeout", "2") as server:
        [before] = workers(server)
        before.suspend()
        with suppress(OSError):  # the request that the worker had accepted
            assert post(server, key=None).status in (200, 503)
        wait_for(lambda: workers(server) and before.pid not in [worker.pid for worker in workers(server)])
        wait_for(lambda: prediction(server, key=None) == OLD)


def test_archive_that_does_not_reproduce_its_golden_records_is_refused(engine: Engine, tiny_store: Path) -> None:
    archive = tiny_store / "tiny-1.0.mar"
    _, answers = golden(archive)
    answers[0]["probabilities"] = dict.fromkeys(answers[0]["probabilities"], 0.5)
    changed(archive, golden__answers=answers)
    with pytest.raises(RuntimeError, match="LoadFailed"), engine.serve(tiny_store):
        pass
