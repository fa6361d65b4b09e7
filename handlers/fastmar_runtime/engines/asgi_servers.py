"""The HTTP servers on which a worker of the ASGI engine runs, by their names."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastmar_runtime.engines.asgi import Application
from fastmar_runtime.engines.asgi_configuration import Configuration

BACKLOG = 1024
MAX_HEAD = 65536  # bytes of a request's head

Stop = Callable[[], Any]


async def _granian(application: Application, configuration: Configuration) -> Stop:
    from granian.constants import HTTPModes, Interfaces, SSLProtocols  # noqa: PLC0415 - an optional dependency
    from granian.http import HTTP1Settings  # noqa: PLC0415 - an optional dependency
    from granian.net import SocketHolder  # type: ignore[attr-defined]  # noqa: PLC0415
    from granian.server.embed import Server  # noqa: PLC0415 - an optional dependency

    class OnSocket(Server):
        """A server on an existing listening socket."""

        def _init_shared_socket(self) -> None:
            self._shd = SocketHolder(configuration.listener, False, BACKLOG)  # type: ignore[assignment, call-arg]

    server = OnSocket(
        application,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(int(configuration.request_timeout * 1000), max_buffer_size=MAX_HEAD),
        websockets=False,
        backlog=BACKLOG,
        backpressure=4096,
        log_enabled=False,
        ssl_cert=Path(configuration.tls_cert) if configuration.tls_cert else None,
        ssl_key=Path(configuration.tls_key) if configuration.tls_key else None,
        ssl_protocol_min=SSLProtocols.tls12,
    )
    running = asyncio.ensure_future(server.serve())
    await asyncio.sleep(0)

    async def stop() -> None:
        server.stop()  # type: ignore[no-untyped-call]
        await running

    return stop


async def _uvicorn(application: Application, configuration: Configuration) -> Stop:
    import uvicorn  # noqa: PLC0415 - an optional dependency

    from fastmar_runtime.engines.uvicorn_protocol import protocol  # noqa: PLC0415 - imports uvicorn

    config = uvicorn.Config(
        application,
        fd=configuration.listener,
        http=protocol(application, configuration.request_timeout, MAX_HEAD),
        lifespan="off",
        access_log=False,
        proxy_headers=False,
        log_config=None,
        ws="none",
        ssl_certfile=configuration.tls_cert,
        ssl_keyfile=configuration.tls_key,
    )
    server = uvicorn.Server(config)
    listener = socket.socket(fileno=configuration.listener)
    running = asyncio.ensure_future(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)

    async def stop() -> None:
        server.should_exit = True
        await running

    return stop


SERVERS: dict[str, Callable[[Application, Configuration], Any]] = {"uvicorn": _uvicorn, "granian": _granian}
