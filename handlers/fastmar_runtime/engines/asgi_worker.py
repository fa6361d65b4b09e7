"""A worker process of the ASGI engine: loads the models, serves them, and executes the launcher's commands.

    python -m fastmar_runtime.engines.asgi_worker CONTROL

CONTROL is the descriptor of a socket to the launcher. Both sides write JSON, one message per line. The launcher's
first message is the configuration (see `Configuration`). Each later message is a command with an `id`, which the reply
repeats:

    load      archives    load additional versions; they are not served yet
    hold                  make new requests wait for the next `serve`
    serve     models      serve exactly these versions, `{NAME: {"default": V, "versions": [V, ...]}}`
    keys      keys        accept exactly these keys
    ping                  reply, to show that the event loop is not blocked
    drain                 answer all accepted requests, then end

A reply is ``{"id": ...}``, with ``"error": {"code", "message", "fix"}`` if the command failed; of an archive that does
not load, the error has its ``"file"``, too. The reply to the configuration has the id 0; it means that the models are
loaded and the worker accepts requests. Once a second the worker sends the changes of its metrics,
``{"metrics": [[NAME, LABELS, VALUE], ...]}``, with the label values in order.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from fastmar_contract.errors import FastmarError
from fastmar_runtime import logs
from fastmar_runtime.engines.asgi import Application
from fastmar_runtime.engines.asgi_configuration import Configuration
from fastmar_runtime.engines.asgi_models import Worker
from fastmar_runtime.engines.asgi_servers import SERVERS
from fastmar_runtime.errors import BundleError
from fastmar_runtime.tracing import tracing

log = logging.getLogger(__name__)

QUIET = 0.1  # seconds without a request after which a draining worker ends


async def _run(control: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=control)

    def reply(number: int, error: FastmarError | None = None) -> None:
        message: dict[str, Any] = {"id": number}
        if error is not None:
            message["error"] = {"code": error.code, "message": error.message, "fix": error.fix}
            if isinstance(error, BundleError):
                message["error"]["file"] = error.file
        send(message)

    def send(message: Mapping[str, Any]) -> None:
        writer.write(json.dumps(message).encode() + b"\n")

    counted: list[tuple[str, list[str], float]] = []
    loop = asyncio.get_running_loop()

    def report(name: str, labels: list[str], value: float) -> None:
        loop.call_soon_threadsafe(collect, (name, labels, value))

    def collect(change: tuple[str, list[str], float]) -> None:
        counted.append(change)
        if len(counted) == 1:
            loop.call_soon(flush)

    def flush() -> None:
        send({"metrics": counted})
        counted.clear()

    first = await reader.readline()
    if not first:
        return
    configuration = Configuration(**json.loads(first))
    logs.configure_logging(configuration.log_format, access_log=configuration.access_log)
    traces = tracing(os.environ)
    try:
        worker = Worker(configuration, report, traces)
    except FastmarError as error:
        reply(0, error)
        await writer.drain()
        return
    stop = await SERVERS[configuration.server](worker.application, configuration)
    reply(0)
    await _execute_commands(reader, worker, reply)
    worker.application.drain()
    await _until_quiet(worker.application)
    await stop()
    worker.close()
    if traces is not None:
        traces.close()


async def _execute_commands(
    reader: asyncio.StreamReader, worker: Worker, reply: Callable[[int, FastmarError | None], None]
) -> None:
    """Execute commands until the launcher sends `drain`, or has died."""

    async def execute(command: Mapping[str, Any]) -> None:
        problem = None
        try:
            await worker.execute(command)
        except FastmarError as error:
            problem = error
        except Exception as error:
            log.exception("the command %s failed", command["command"])
            message = f"{type(error).__name__}: {error}"
            problem = FastmarError(message, fix="read the server's log.", code="internal")
        reply(command["id"], problem)

    executing: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        command = json.loads(line)
        if command["command"] == "drain":
            return
        # A task, since `ping` must be answered while a model loads. Only `load` waits, so the others keep their order.
        task = asyncio.ensure_future(execute(command))
        executing.add(task)
        task.add_done_callback(executing.discard)


async def _until_quiet(application: Application) -> None:
    """Wait until no request is in flight, and none has arrived for a moment."""
    answered = -1
    while application.in_flight or answered != application.answered:
        answered = application.answered
        await asyncio.sleep(QUIET)


def main() -> None:
    """Run the worker until the launcher ends it."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.setblocking(False)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(control))
        sys.stderr.flush()
        os._exit(0)  # a model that took too long to load may still be loading in its thread


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - an optional dependency
    except ImportError:  # Windows
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
