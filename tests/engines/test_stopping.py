"""The stop of a server: accepted requests are answered, and no process stays. FASTMAR_LONG_TESTS=1 repeats it."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.engines import LONG, Engine, needs
from tests.engines.calls import PATH, RECORD, TIMEOUT, port, wait_for
from tests.engines.load import Load

pytestmark = needs("launcher")

STREAMS = 32


def test_sigterm_under_load_loses_no_request(engine: Engine, tiny_store: Path) -> None:
    answered, outcomes = 0, []
    for _ in range(20 if LONG else 2):
        with engine.serve(tiny_store) as server:
            processes = psutil.Process(server.process.pid).children(recursive=True)
            load = Load(port(server), PATH, RECORD)
            load.start(keep_alive=STREAMS // 2, one_each=STREAMS // 2)
            load.wait_for_answers(200)
            assert server.stop(signal.SIGTERM) == 0
            outcomes.append(load.wait())
            answered += outcomes[-1].pop("200")
            _, alive = psutil.wait_procs(processes, timeout=TIMEOUT)
            assert alive == []
    print(json.dumps({"stops": len(outcomes), "answered": answered, "lost": 0}))
    assert outcomes == [{"refused": STREAMS}] * len(outcomes)


@pytest.fixture
def sigint() -> Iterator[None]:
    """Children get SIGINT's default action, also if a shell started the tests in the background and ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("sigint")
def test_sigint_with_an_idle_connection(engine: Engine, tiny_store: Path) -> None:
    with engine.serve(tiny_store, "--drain-timeout", "600") as server:
        idle = http.client.HTTPConnection("127.0.0.1", port(server), timeout=TIMEOUT)
        idle.request("POST", PATH, RECORD)
        idle.getresponse().read()
        assert server.stop(signal.SIGINT) == 0  # waits less than the drain
        idle.close()


def test_processes_end_if_the_launcher_is_killed(engine: Engine, tiny_store: Path) -> None:
    with engine.serve(tiny_store) as server:
        processes = psutil.Process(server.process.pid).children(recursive=True)
        assert processes
        server.process.kill()
        _, alive = psutil.wait_procs(processes, timeout=TIMEOUT)
        assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_sigterm_while_models_load(engine: Engine, tiny_store: Path) -> None:
    command = [sys.executable, "-m", "fastmar_cli.main", "serve", "--model-store", tiny_store, *engine.options]
    process = subprocess.Popen(
        [*command, "--port", "0", "--metrics-port", "0", "--workers", "4"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        while "starting" not in process.stderr.readline():
            assert process.poll() is None
        wait_for(lambda: psutil.Process(process.pid).children())
        process.terminate()
        printed, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, printed) == (0, "")
