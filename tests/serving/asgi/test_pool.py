"""The pool of workers, with workers in this process."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastmar_serving.asgi import pool as pools
from fastmar_serving.asgi.pool import ModelSet, Pool
from fastmar_serving.asgi.process import STARTED, NoReply, WorkerGone
from fastmar_serving.errors import LoadFailed, NotReady

PIDS = itertools.count(10_000_000)  # larger than those of processes
FIRST = ModelSet({("tiny", "1.0"): Path("tiny-1.0.mar")}, {"tiny": "1.0"})
SECOND = ("tiny", "2.0")
TIMEOUT = 60


class Worker:
    """A worker that executes all commands at once, except those in `ignored`."""

    def __init__(self, ignored: set[str]) -> None:
        self.pid = next(PIDS)
        self.sent: list[str] = []
        self.ended: int | None = None
        self._ignored = ignored
        self._changed = threading.Condition()
        self._numbers = itertools.count(STARTED)
        self._replied: set[int] = set()
        self.begin("start")

    def begin(self, command: str, **_arguments: Any) -> int:
        with self._changed:
            self.sent.append(command)
            number = next(self._numbers)
            if command not in self._ignored:
                self._replied.add(number)
            if command == "drain" and command not in self._ignored and self.ended is None:
                self.ended = 0
            self._changed.notify_all()
        return number

    def wait(self, number: int, timeout: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: number in self._replied or self.ended is not None, timeout)
            if number not in self._replied:
                raise NoReply if self.ended is None else WorkerGone

    def wait_for(self, command: str) -> None:
        """Wait until the pool has sent a command."""
        with self._changed:
            assert self._changed.wait_for(lambda: command in self.sent, TIMEOUT)

    def reply(self) -> None:
        """Execute the ignored commands."""
        with self._changed:
            self._replied.update(range(len(self.sent)))
            self._changed.notify_all()

    def has_replied(self, number: int) -> bool:
        return number in self._replied

    def status(self) -> int | None:
        return self.ended

    def kill(self) -> None:
        with self._changed:
            self.ended = -9 if self.ended is None else self.ended
            self._changed.notify_all()

    def stop(self, _timeout: float) -> None:
        self.kill()


class Workers:
    """Starts the workers of a pool.

    Attributes:
        started: all workers, also replaced ones.
        ignored: commands that workers which start from now on do not execute.
    """

    def __init__(self) -> None:
        self.started: list[Worker] = []
        self.ignored: set[str] = set()

    def __call__(self, *_arguments: Any) -> Worker:
        self.started.append(Worker(self.ignored))
        return self.started[-1]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    starter = Workers()
    monkeypatch.setattr(pools, "WorkerProcess", starter)
    return starter


@pytest.fixture
def listeners() -> Iterator[list[socket.socket]]:
    with socket.socket() as one, socket.socket() as other:
        yield [one, other]


def start(listeners: list[socket.socket], ready_timeout: float = 60.0) -> Pool:
    return Pool(listeners, {}, FIRST, hang_timeout=0.0, ready_timeout=ready_timeout, on_metrics=print)


def ready(listeners: list[socket.socket]) -> Pool:
    pool = start(listeners)
    assert pool.wait_until_ready(threading.Event())
    return pool


class Loading(threading.Thread):
    """Loads the second version."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(daemon=True)
        self._pool = pool
        self.error: LoadFailed | None = None
        self.start()

    def run(self) -> None:
        try:
            self._pool.load(*SECOND, Path("tiny-2.0.mar"))
        except LoadFailed as error:
            self.error = error

    def result(self) -> LoadFailed | None:
        self.join(TIMEOUT)
        assert not self.is_alive()
        return self.error


def watch(pool: Pool) -> None:
    """`pool.watch()`, which must not wait for a model that loads."""
    watching = threading.Thread(target=pool.watch, daemon=True)
    watching.start()
    watching.join(TIMEOUT)
    assert not watching.is_alive()


class TestStart:
    def test_a_signal_ends_the_wait(self, workers: Workers, listeners: list[socket.socket]) -> None:
        workers.ignored = {"start"}
        stop = threading.Event()
        threading.Timer(0.1, stop.set).start()
        assert start(listeners).wait_until_ready(stop) is False

    def test_ready_workers_answer_their_requests_after_a_signal(
        self, workers: Workers, listeners: list[socket.socket]
    ) -> None:
        workers.ignored = {"start"}
        pool = start(listeners)
        workers.started[0].reply()
        stop = threading.Event()
        stop.set()
        assert pool.wait_until_ready(stop) is False
        pool.stop_loading()
        pool.drain(TIMEOUT, threading.Event())
        assert [worker.ended for worker in workers.started] == [0, -9]

    def test_timeout(self, workers: Workers, listeners: list[socket.socket]) -> None:
        workers.ignored = {"start"}
        with pytest.raises(NotReady):
            start(listeners, ready_timeout=0.1).wait_until_ready(threading.Event())

    def test_worker_that_ends(self, workers: Workers, listeners: list[socket.socket]) -> None:
        workers.ignored = {"start"}
        pool = start(listeners)
        workers.started[1].kill()
        with pytest.raises(LoadFailed):
            pool.wait_until_ready(threading.Event())


class TestLoad:
    def test_workers_are_replaced_while_a_version_loads(self, workers: Workers, listeners: list[socket.socket]) -> None:
        workers.ignored = {"load"}
        pool = ready(listeners)
        first, second = workers.started
        loading = Loading(pool)
        first.wait_for("load")
        second.kill()
        watch(pool)
        workers.ignored.clear()
        watch(pool)  # the replacement is ready
        replacement = workers.started[2]
        assert pool.pids() == [(first.pid, True), (replacement.pid, True)]
        first.reply()
        assert loading.result() is None
        assert first.sent[-1] == "serve"
        assert [command for command in replacement.sent if command != "ping"] == ["start", "load", "serve"]
        assert SECOND in pool.loaded.archives

    def test_no_worker_survives_it(self, workers: Workers, listeners: list[socket.socket]) -> None:
        workers.ignored = {"load"}
        pool = ready(listeners)
        loading = Loading(pool)
        for worker in workers.started:
            worker.wait_for("load")
            worker.kill()
        assert isinstance(loading.result(), LoadFailed)
        assert pool.loaded == FIRST

    def test_timeout_keeps_the_workers(self, workers: Workers, listeners: list[socket.socket]) -> None:
        workers.ignored = {"load"}
        pool = start(listeners, ready_timeout=0.3)
        assert pool.wait_until_ready(threading.Event())
        assert isinstance(Loading(pool).result(), LoadFailed)
        assert pool.loaded == FIRST
        assert [worker.ended for worker in workers.started] == [None, None]

    def test_the_server_drains_while_a_version_loads(self, workers: Workers, listeners: list[socket.socket]) -> None:
        workers.ignored = {"load"}
        pool = ready(listeners)
        loading = Loading(pool)
        workers.started[1].wait_for("load")
        pool.drain(TIMEOUT, threading.Event())
        assert [worker.ended for worker in workers.started] == [0, 0]
        assert isinstance(loading.result(), LoadFailed)


class TestWatch:
    def test_replacement_that_hangs_while_it_loads(self, workers: Workers, listeners: list[socket.socket]) -> None:
        pool = start(listeners, ready_timeout=0.1)
        assert pool.wait_until_ready(threading.Event())
        workers.ignored = {"start"}
        workers.started[0].kill()
        watch(pool)
        hanging = workers.started[2]
        workers.ignored = set()
        for _ in range(100):
            watch(pool)
            if pool.pids()[0] == (workers.started[-1].pid, True) and hanging.ended is not None:
                break
            threading.Event().wait(0.1)
        assert hanging.ended == -9
        assert pool.pids()[0] == (workers.started[3].pid, True)


def test_second_signal_ends_the_drain(workers: Workers, listeners: list[socket.socket]) -> None:
    workers.ignored = {"drain"}
    pool = ready(listeners)
    hurry = threading.Event()
    hurry.set()
    pool.drain(600.0, hurry)
    pool.stop()
    assert [worker.ended for worker in workers.started] == [-9, -9]
