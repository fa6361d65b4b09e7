"""The models of a worker of the ASGI engine: loads archives, and serves and ends their versions."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

from fastmar_contract.request_log import LogOptions
from fastmar_runtime.batching import Batcher
from fastmar_runtime.engines.asgi import Application
from fastmar_runtime.engines.asgi_configuration import Configuration
from fastmar_runtime.errors import BundleError
from fastmar_runtime.golden import check_golden, read_golden
from fastmar_runtime.http.routes import Models, Version
from fastmar_runtime.memory import release_freed
from fastmar_runtime.observers import REPORTED, worker_observers
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles.reporting import warn_of_killed
from fastmar_runtime.service import Service
from fastmar_runtime.tracing import Tracing
from fastmar_runtime.turns import new_threads_of_low_priority, turn_of

MAX_RESPONSE = 64 * 1024 * 1024  # bytes
SLOW = 0.002  # seconds for one record; slower models are computed in a thread
TIMED = 3  # predictions to measure; the fastest counts

Report = Callable[[str, list[str], float], None]
Result = TypeVar("Result")


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
