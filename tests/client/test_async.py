"""Behaviour of `AsyncClient` only; tests with the fixture `connect` cover both clients."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.client.scripted import Reply, Scripted, Seen, echo
from tests.coroutines import run
from tests.runtime import tiny

from fastmar_client import AsyncClient, Client, RecordRefused, ServerFailed
from fastmar_client.testing import FakeServer
from fastmar_client.transport import cause_of
from fastmar_runtime.schema import describe

SYNC_ONLY = {"score_csv"}


def test_methods_and_arguments_are_those_of_client() -> None:
    for name in ("__init__", *(name for name in dir(Client) if not name.startswith("_") and name not in SYNC_ONLY)):
        actual, expected = (inspect.signature(getattr(cls, name)).parameters for cls in (AsyncClient, Client))
        assert list(actual) == list(expected)
        for each in expected:
            assert (actual[each].default, actual[each].kind) == (expected[each].default, expected[each].kind)


def test_predict_accepts_an_async_iterable(scripted: Scripted) -> None:
    scripted.reply = echo

    async def records() -> AsyncIterator[dict[str, int]]:
        for number in range(5):
            await asyncio.sleep(0)
            yield {"x": number}

    async def predict() -> list[Any]:
        async with AsyncClient(scripted.url) as client:
            one_by_one = [answer async for answer in client.predict_many("m", records(), batch_size=2)]
            assert await client.predict("m", records()) == one_by_one
            return one_by_one

    assert run(predict()) == [{"prediction": {"x": number}} for number in range(5)]


def test_calls_run_concurrently(scripted: Scripted) -> None:
    together = threading.Barrier(4, timeout=60)

    def reply(seen: Seen) -> Reply:
        together.wait()
        return echo(seen)

    scripted.reply = reply

    async def predict() -> list[Any]:
        async with AsyncClient(scripted.url) as client:
            return await asyncio.gather(*(client.predict("m", {"x": number}) for number in range(4)))

    assert run(predict()) == [{"prediction": {"x": number}} for number in range(4)]


def test_cancelled_call_ends_immediately(scripted: Scripted) -> None:
    released = threading.Event()

    def reply(seen: Seen) -> Reply:
        released.wait(120)
        return echo(seen)

    scripted.reply = reply

    async def predict() -> None:
        async with AsyncClient(scripted.url) as client:
            for call in (client.predict("m", {}), client.predict("m", [{}] * 200)):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(call, 0.2)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    started_at = time.monotonic()
    run(predict())
    assert time.monotonic() - started_at < 60
    released.set()


def test_closing_the_answers_cancels_requests(scripted: Scripted) -> None:
    scripted.reply = echo

    async def predict(on_error: Any) -> None:
        async with AsyncClient(scripted.url) as client:
            answers = client.predict_many("m", [{"x": 1}] * 50, batch_size=1, on_error=on_error)
            assert await anext(answers) == {"prediction": {"x": 1}}
            await answers.aclose()
            assert asyncio.all_tasks() == {asyncio.current_task()}

    run(predict("keep"))
    run(predict("raise"))


def test_pictures_are_read_in_a_thread(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def read(path: Path) -> bytes:
        threads.append(threading.current_thread())
        return b"BM"

    monkeypatch.setattr(Path, "read_bytes", read)

    async def predict() -> None:
        async with AsyncClient(scripted.url) as client:
            await client.predict("m", Path("a.bmp"))

    run(predict())
    assert threads
    assert threading.main_thread() not in threads


def test_session_of_the_caller_is_used_and_not_closed(scripted: Scripted) -> None:
    async def predict() -> None:
        async with httpx.AsyncClient(headers={"X-Mine": "1"}) as session:
            async with AsyncClient(scripted.url, session=session) as client:
                await client.predict("m", {})
            assert not session.is_closed

    run(predict())
    assert scripted.seen[0].headers["x-mine"] == "1"


def test_cause_of_finds_the_message_of_the_system() -> None:
    refused = ConnectionRefusedError(111, "Connect call failed ('::1', 8080, 0, 0)")
    several = OSError("All connection attempts failed")
    several.__cause__ = ExceptionGroup("multiple connection attempts failed", [refused, refused])
    error = httpx.ConnectError("All connection attempts failed")
    error.__cause__ = several
    assert cause_of(error) == "Connection refused"


def test_fake_server() -> None:
    server = FakeServer(describe(tiny.spec()))

    async def predict() -> None:
        async with server.async_client() as client:
            assert await client.predict("tiny", tiny.record()) == server.client().predict("tiny", tiny.record())
            with pytest.raises(RecordRefused):
                await client.predict("tiny", {})
            server.fail(503)
            with pytest.raises(ServerFailed):
                await client.predict("tiny", tiny.record())

    run(predict())


def test_missing_httpx_names_the_extra() -> None:
    code = (
        "import sys; sys.modules.update(httpx=None)\n"
        "from fastmar_client import AsyncClient\n"
        "try: AsyncClient()\n"
        "except ModuleNotFoundError as error: assert error.name == 'httpx' and 'fastmar[async]' in str(error), error\n"
        "else: raise AssertionError"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
