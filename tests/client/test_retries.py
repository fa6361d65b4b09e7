"""When a request is repeated, and after how long."""

from __future__ import annotations

import random

import pytest

from fastmar_client import Retries


@pytest.mark.parametrize(("attempt", "longest"), [(1, 0.1), (2, 0.2), (3, 0.4), (30, 10.0)])
def test_the_pause_doubles_and_varies_by_half(attempt: int, longest: float) -> None:
    pauses = {Retries().pause(attempt) for _ in range(50)}
    assert all(longest / 2 <= pause <= longest for pause in pauses)
    assert len(pauses) > 1


def test_the_server_decides_how_long_a_pause_is() -> None:
    assert Retries().pause(1, "3") == 3.0
    assert Retries().pause(1, "3600") == Retries().longest


def test_a_pause_leaves_the_callers_random_numbers_alone() -> None:
    random.seed(7)
    state = random.getstate()
    Retries().pause(2)
    assert random.getstate() == state
