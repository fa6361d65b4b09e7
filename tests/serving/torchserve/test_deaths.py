"""Workers that ended, found in the descriptions of the management API."""

from __future__ import annotations

from typing import Any

from fastmar_serving.management import READY
from fastmar_serving.torchserve.deaths import Deaths


def described(*workers: tuple[str, int], target: int = 2) -> dict[str, tuple[str, list[dict[str, Any]]]]:
    """Descriptions of one model; workers are pairs of id and process id, 0 for one that is not ready."""
    found = [{"id": each, "pid": pid or -1, "status": READY if pid else "UNLOADING"} for each, pid in workers]
    return {"tiny": ("1.0", [{"modelVersion": "1.0", "minWorkers": target, "workers": found}])}


def pids(deaths: Deaths, *workers: tuple[str, int], target: int = 2) -> list[int]:
    return [worker.pid for worker in deaths.find(described(*workers, target=target))]


def test_a_worker_that_ended_is_found_once() -> None:
    deaths = Deaths()
    assert pids(deaths, ("9000", 11), ("9001", 12)) == []
    assert pids(deaths, ("9000", 11), ("9001", 12)) == []
    assert pids(deaths, ("9000", 11), ("9001", 0)) == [12]
    assert pids(deaths, ("9000", 11), ("9001", 0)) == []
    assert pids(deaths, ("9000", 11), ("9001", 13)) == []
    assert pids(deaths, ("9000", 14), ("9001", 13)) == [11]  # replaced between two polls


def test_workers_that_the_server_ends_are_no_deaths() -> None:
    deaths = Deaths()
    pids(deaths, ("9000", 11), ("9001", 12))
    assert pids(deaths, ("9000", 11), ("9001", 0), target=1) == []
    assert pids(deaths, ("9000", 11), target=1) == []
    assert pids(deaths, ("9000", 0), target=0) == []
    pids(deaths, ("9000", 21), ("9001", 22))
    deaths.forget(22)
    assert pids(deaths, ("9000", 21), ("9001", 0)) == []
    assert deaths.find({}) == []
