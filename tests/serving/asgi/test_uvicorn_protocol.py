"""uvicorn's protocol with the application's errors."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

import pytest

from tests.coroutines import run

uvicorn = pytest.importorskip("uvicorn")


class Broken:
    async def respond(self, *_: Any) -> Any:
        raise RuntimeError("a bug")


def test_an_error_of_the_application_is_logged_and_answered_with_500(caplog: pytest.LogCaptureFixture) -> None:
    from uvicorn.server import ServerState

    from fastmar_runtime.engines.uvicorn_protocol import protocol

    async def exchange() -> bytes:
        config = uvicorn.Config(lambda *_: None, http=protocol(Broken(), 5.0, 65536), lifespan="off", log_config=None)
        config.load()
        made = partial(config.http_protocol_class, config=config, server_state=ServerState(), app_state={})
        server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            received = await asyncio.wait_for(reader.read(), 10)
            writer.close()
            return received

    with caplog.at_level(logging.ERROR):
        received = run(exchange())
    assert received.startswith(b"HTTP/1.1 500 ")
    assert b"connection: close\r\n" in received
    assert "a request failed" in caplog.text
    assert "a bug" in caplog.text
