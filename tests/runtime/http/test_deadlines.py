"""The time limit of bodies."""

from __future__ import annotations

import asyncio

import pytest

from fastmar_runtime.http.deadlines import BYTES_PER_SECOND, Deadlines
from tests.coroutines import run


def test_a_body_that_does_not_arrive_times_out() -> None:
    deadlines = Deadlines(0.05)

    async def never_arrives() -> None:
        with pytest.raises(TimeoutError), deadlines:
            await asyncio.Event().wait()

    async def bodies() -> None:
        await asyncio.gather(never_arrives(), never_arrives())
        await never_arrives()

    run(asyncio.wait_for(bodies(), 60))


def test_the_long_limit_of_a_large_body_is_not_that_of_later_ones() -> None:
    deadlines = Deadlines(0.05)

    async def large() -> None:
        with deadlines:
            deadlines.extend(3600 * BYTES_PER_SECOND)
            await asyncio.sleep(0.2)  # until the timer has seen the long limit

    async def bodies() -> None:
        await large()
        with pytest.raises(TimeoutError), deadlines:
            await asyncio.Event().wait()

    run(asyncio.wait_for(bodies(), 60))
