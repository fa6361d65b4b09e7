"""Turns of workers that compute the same slow model."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fastmar_runtime import turns
from fastmar_runtime.turns import NICENESS, Turn, new_threads_of_low_priority, turn_of

MODEL = ("colours", "1.0")
HOLDS = """
import sys
from pathlib import Path
from fastmar_runtime.turns import Turn
with Turn(Path(sys.argv[1])):
    print("has it", flush=True)
    sys.stdin.readline()
"""


def other_process(path: Path) -> subprocess.Popen[str]:
    """A process that has the turn until it is killed or reads a line."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "has it\n"
    return holder


def test_one_process_has_the_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MAX_WAIT", 60.0)
    path = tmp_path / "a"

    def take_turn() -> float:
        with Turn(path):
            return time.monotonic()

    with other_process(path) as holder, ThreadPoolExecutor(1) as pool:
        ended = pool.submit(take_turn)
        time.sleep(0.2)
        assert not ended.done()
        before = time.monotonic()
        holder.communicate("\n")
        assert ended.result() >= before


def test_a_process_that_waits_comes_before_the_one_that_had_the_turn(tmp_path: Path) -> None:
    taken, asked = [], threading.Event()
    stop = threading.Event()

    def take_turns() -> None:
        while not stop.is_set():
            with Turn(tmp_path / "a.turn"):
                taken.append(asked.is_set())
                time.sleep(0.02)

    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(take_turns)
        time.sleep(0.1)
        asked.set()
        with Turn(tmp_path / "a.turn"):
            stop.set()
        ended.result()
    assert sum(taken) < 50  # few; without the place in the queue it takes hundreds until `MAX_WAIT`


def test_the_turn_of_a_killed_process_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MAX_WAIT", 60.0)
    with other_process(tmp_path / "a") as holder:
        holder.kill()
        with Turn(tmp_path / "a"):
            pass


def test_a_process_that_hangs_is_not_awaited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "MAX_WAIT", 0.2)
    with other_process(tmp_path / "a") as holder:
        with Turn(tmp_path / "a"):
            assert holder.poll() is None
        holder.communicate("\n")


def test_models_and_slots_have_turns_of_their_own(tmp_path: Path) -> None:
    with (
        turn_of(tmp_path, MODEL, 0, 2),
        turn_of(tmp_path, MODEL, 1, 2),
        turn_of(tmp_path, ("colours", "2.0"), 0, 2),
        turn_of(tmp_path, ("a/b" * 80, "1" * 250), 0, 2),
    ):
        assert len(list(tmp_path.glob("*.turn"))) == 4
    with turn_of(tmp_path, MODEL, 2, 2):  # of the same slot as worker 0
        assert len(list(tmp_path.glob("*.turn"))) == 4


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_only_new_threads_have_a_low_priority() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    def started() -> ThreadPoolExecutor:
        pool = ThreadPoolExecutor(1)
        pool.submit(niceness).result()
        return pool

    before = niceness()
    with started() as old:
        with new_threads_of_low_priority():
            new = started()
        with new:
            assert new.submit(niceness).result() == max(before, NICENESS)
        assert old.submit(niceness).result() == before
    assert niceness() == before
