"""Pauses between retries."""

from __future__ import annotations

import random

import pytest

from fastmar_client import Retries, ServerUnreachable


@pytest.mark.parametrize(("attempt", "maximum"), [(1, 0.1), (2, 0.2), (3, 0.4), (30, 10.0)])
def test_pause_doubles_with_jitter(attempt: int, maximum: float) -> None:
    pauses = {Retries().pause(attempt) for _ in range(50)}
    assert all(maximum / 2 <= pause <= maximum for pause in pauses)
    assert len(pauses) > 1


def test_a_wrong_address_is_reported_sooner_than_a_restarting_server() -> None:
    unreachable = ServerUnreachable("", fix="")
    assert [Retries().allows(unreachable, attempt) for attempt in (3, 4)] == [True, False]
    assert [Retries().allows(unreachable, attempt, reached=True) for attempt in (11, 12)] == [True, False]


def test_retry_after_sets_the_pause() -> None:
    assert Retries().pause(1, "3") == 3.0
    assert Retries().pause(1, "3600") == Retries().longest


def test_pause_does_not_use_the_global_random_generator() -> None:
    random.seed(7)
    state = random.getstate()
    Retries().pause(2)
    assert random.getstate() == state
