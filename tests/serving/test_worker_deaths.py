"""Eight streams of `predict_many` while a worker is killed every five seconds: each record is answered once, in order.

First all workers die at once, then one of two each time. With FASTMAR_LONG_TESTS=1 this takes a minute.
"""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from fastmar_client import Client
from fastmar_runtime.predictor import BundleFiles
from fastmar_serving.testing import RunningServer, running_server
from tests.serving.conftest import TABLES

pytestmark = pytest.mark.torchserve

STREAMS = 8
EVERY = 5.0  # seconds between two deaths
SECONDS = 60.0 if os.environ.get("FASTMAR_LONG_TESTS") else 8.0
BATCH = 16


def workers(server: RunningServer) -> list[psutil.Process]:
    """The worker processes, the oldest first."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    found = [child for child in children if "model_service_worker" in " ".join(child.cmdline())]
    return sorted(found, key=psutil.Process.create_time)


def test_predict_many_survives_workers_that_die(store: Path) -> None:
    files = BundleFiles(store / f"{TABLES}.mar")
    records, answers = files.json("golden/records.json"), files.json("golden/answers.json")
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
        with Client(server.url, key_file=server.key_file, timeout=(3, 20)) as client:
            for count, answer in enumerate(client.predict_many(TABLES, endless(stream), batch_size=BATCH), 1):
                expected = answers[(count - 1) % len(answers)]
                assert answer["prediction"] == expected["prediction"]
                assert answer["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-5)
        return count

    with running_server(store, "--models", TABLES, "--workers", "2") as server, ThreadPoolExecutor(STREAMS) as pool:
        streams = [pool.submit(check, stream) for stream in range(STREAMS)]
        ends = time.monotonic() + SECONDS
        try:
            while time.monotonic() < ends and not any(stream.done() for stream in streams):
                time.sleep(min(EVERY, max(ends - time.monotonic(), 0)) if kills else 1.0)
                for worker in workers(server)[: 1 if kills else 2]:
                    worker.kill()
                    kills += 1
        finally:
            stop.set()
        counts = [stream.result(timeout=120) for stream in streams]
    print(json.dumps({"killed": kills, "answered": counts}))
    assert kills >= 2
    assert counts == sent, "each record is answered once"
    assert min(counts) > BATCH
