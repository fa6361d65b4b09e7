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
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

from fastmar_contract.errors import FastmarError
from fastmar_contract.profiles import PERIOD
from fastmar_contract.request_log import LogOptions
from fastmar_runtime import logs
from fastmar_runtime.batching import Batcher
from fastmar_runtime.engines.asgi import MAX_BODY, REQUEST_TIMEOUT, RESPONSE_TIMEOUT, Application
from fastmar_runtime.errors import BundleError
from fastmar_runtime.golden import check_golden, read_golden
from fastmar_runtime.http.routes import Models, Version
from fastmar_runtime.memory import release_freed
from fastmar_runtime.observers import REPORTED, worker_observers
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles.reporting import warn_of_killed
from fastmar_runtime.service import Service
from fastmar_runtime.tracing import Tracing, tracing
from fastmar_runtime.turns import new_threads_of_low_priority, turn_of

log = logging.getLogger(__name__)

MAX_RESPONSE = 64 * 1024 * 1024  # bytes
BACKLOG = 1024
MAX_HEAD = 65536  # bytes of a request's head
SLOW = 0.002  # seconds for one record; slower models are computed in a thread
TIMED = 3  # predictions to measure; the fastest counts
QUIET = 0.1  # seconds without a request after which a draining worker ends

Report = Callable[[str, list[str], float], None]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Configuration:
    """The configuration of a worker.

    Attributes:
        listener: descriptor of a listening socket.
        archives: `{"path", "name", "version"}` of each archive.
        defaults: default version of each model.
        number: index of the worker; its replacement has the same one.
        keys: see `Application`, also for `origins`, `health`, `predictions`, `max_body` and the timeouts.
        threads: number of threads for the graph of a slow model.
        turns: folder of the files with which workers take turns to compute slow models; None for a single worker.
        slots: number of workers that compute the same slow model at the same time.
        server: `uvicorn` or `granian`.
        tls_cert: file with the certificate chain; None for plain HTTP.
        tls_key: file with its private key.
        profiles: folder of the files with profiles of the records; None for no files.
        profile_period: seconds between two reports of the profiles.
        request_log: arguments of `LogOptions`; None for no log.
        log_format: one of `logs.FORMATS`.
        access_log: whether to log each request.
        check_token: token of check requests; see `fastmar_contract.check_requests`.
    """

    listener: int
    archives: list[dict[str, str]]
    defaults: dict[str, str]
    number: int = 0
    keys: Sequence[str] | None = None
    origins: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    predictions: dict[str, str] = field(default_factory=dict)
    threads: int = 1
    turns: str | None = None
    slots: int = 1
    max_body: int = MAX_BODY
    request_timeout: float = REQUEST_TIMEOUT
    response_timeout: float = RESPONSE_TIMEOUT
    server: str = "uvicorn"
    tls_cert: str | None = None
    tls_key: str | None = None
    profiles: str | None = None
    profile_period: float = PERIOD
    request_log: dict[str, Any] | None = None
    log_format: str = logs.TEXT
    access_log: bool = False
    check_token: str | None = None


class ReportedMetric:
    """A metric that reports its changes to the launcher; see `metrics.TorchServeMetric`."""

    def __init__(self, name: str, report: Report) -> None:
        self._name = name
        self._report = report

    def add_or_update(self, value: float, dimension_values: list[str]) -> None:
        """Report an increment of a counter, or the value of a gauge."""
        self._report(self._name, dimension_values, value)


def load(
    archive: Mapping[str, str],
    configuration: Configuration,
    report: Report,
    on_killed: Callable[[str], None] | None = None,
) -> Version:
    """Open an archive, and replay its golden records. `on_killed` is that of `Reporter`; None logs the model.

    Raises:
        BundleError: it can't be read, or does not reproduce the recorded answers. The message names the model.
    """
    path = Path(archive["path"])
    try:
        predictor, records = _open(path)
    except BundleError as error:
        error.message = f"{archive['name']} {archive['version']} ({path.name}) does not load: {error.message}"
        error.file = path.name
        raise
    is_slow = _measure(predictor, records) > SLOW
    if is_slow and configuration.threads > 1:
        with new_threads_of_low_priority():
            predictor = Predictor.open(path, threads=configuration.threads)
    release_freed()
    model = (archive["name"], archive["version"])
    observers = worker_observers(
        predictor,
        model,
        {name: ReportedMetric(name, report) for name in REPORTED},
        str(configuration.number),
        profiles=None if configuration.profiles is None else Path(configuration.profiles),
        period=configuration.profile_period,
        log=None if configuration.request_log is None else LogOptions(**configuration.request_log),
        on_killed=on_killed or (lambda killed: warn_of_killed([killed], configuration.profile_period)),
    )
    service = Service(predictor, MAX_RESPONSE, observers)
    turn = None
    if is_slow and configuration.turns is not None:
        turn = turn_of(Path(configuration.turns), model, configuration.number, configuration.slots)
    return Version(*model, predictor.spec, service, Batcher(service, in_thread=is_slow, turn=turn))


def _open(path: Path) -> tuple[Predictor, list[Any]]:
    """Open an archive, and replay its golden records. Returns one of them, if it has any."""
    predictor = Predictor.open(path)
    if predictor.files is None:
        return predictor, []
    golden = read_golden(predictor.files, [tensor.name for tensor in predictor.spec.inputs])
    check_golden(predictor, golden)
    return predictor, golden.records[:1]


def _measure(predictor: Predictor, records: list[Any]) -> float:
    """Seconds of the fastest of a few predictions."""
    times = []
    for _ in range(TIMED):
        began = time.perf_counter()
        predictor.predict(records)
        times.append(time.perf_counter() - began)
    return min(times)


class Worker:
    """Executes the launcher's commands on the application."""

    def __init__(self, configuration: Configuration, report: Report, tracing: Tracing | None = None) -> None:
        self._configuration = configuration
        self._report = report
        self._loaded: dict[tuple[str, str], Version] = {}
        self._switches = 0
        killed: list[str] = []
        for archive in configuration.archives:
            version = load(archive, configuration, report, killed.append)
            self._loaded[archive["name"], archive["version"]] = version
        warn_of_killed(killed, configuration.profile_period)
        self.application = Application(
            self._models(_all_versions(configuration.archives, configuration.defaults)),
            keys=configuration.keys,
            origins=configuration.origins,
            health=configuration.health,
            predictions=configuration.predictions,
            max_body=configuration.max_body,
            request_timeout=configuration.request_timeout,
            response_timeout=configuration.response_timeout,
            tracing=tracing,
            access_log=configuration.access_log,
            check_token=configuration.check_token,
        )

    async def execute(self, command: Mapping[str, Any]) -> None:
        """Execute a command.

        Raises:
            FastmarError: it failed, and nothing has changed.
        """
        match command["command"]:
            case "load":
                for archive in command["archives"]:
                    await self._load(archive)
            case "hold":
                self.application.hold()
            case "serve":
                models = self._models(command["models"])
                self._switches += 1
                self.application.serve(models)
                self._forget(models)
            case "keys":
                self.application.accept(command["keys"])
            case "ping":
                pass
            case unknown:
                raise ValueError(f"there is no command {unknown!r}")

    async def _load(self, archive: Mapping[str, str]) -> None:
        """Load a version. If it took too long, so that the launcher has sent `serve` meanwhile, drop it again."""
        switches = self._switches
        loaded = await _in_daemon(load, archive, self._configuration, self._report)
        if switches == self._switches:
            self._loaded[archive["name"], archive["version"]] = loaded
        else:
            loaded.batcher.close()

    def _models(self, wanted: Mapping[str, Mapping[str, Any]]) -> Models:
        return Models(
            {name: {v: self._loaded[name, v] for v in of_name["versions"]} for name, of_name in wanted.items()},
            {name: of_name["default"] for name, of_name in wanted.items()},
        )

    def close(self) -> None:
        """End all models."""
        for version in self._loaded.values():
            version.batcher.close()

    def _forget(self, models: Models) -> None:
        served = {(name, version) for name, versions in models.versions.items() for version in versions}
        for key in self._loaded.keys() - served:
            self._loaded.pop(key).batcher.close()


async def _in_daemon(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a function in a thread that does not keep the process alive, unlike those of `asyncio.to_thread`."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Result] = loop.create_future()

    def deliver(result: Result | None, error: Exception | None) -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(cast(Result, result))

    def run() -> None:
        result, problem = None, None
        try:
            result = function(*arguments)
        except Exception as error:
            problem = error
        with suppress(RuntimeError):  # the loop is closed: the process ends
            loop.call_soon_threadsafe(deliver, result, problem)

    threading.Thread(target=run, name="load", daemon=True).start()
    return await future


def _all_versions(archives: list[dict[str, str]], defaults: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for archive in archives:
        of_name = found.setdefault(archive["name"], {"versions": [], "default": defaults[archive["name"]]})
        of_name["versions"].append(archive["version"])
    return found


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
