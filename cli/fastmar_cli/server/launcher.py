"""`fastmar serve`, from the checks to the drain."""

from __future__ import annotations

import http.client
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from types import FrameType

from fastmar_cli.server.announce import Progress, announce
from fastmar_cli.server.archives import Archive, find_archives
from fastmar_cli.server.config import (
    RunDirectory,
    Settings,
    check_ports,
    cores,
    render,
    run_directory,
    write_properties,
)
from fastmar_cli.server.drain import drain
from fastmar_cli.server.errors import ConfigRefused, LoadFailed, NotReady, ServerDied
from fastmar_cli.server.java import TorchServe, find_java, find_torchserve
from fastmar_cli.server.management import Management, ManagementError, management_key
from fastmar_cli.server.metadata import documents
from fastmar_cli.server.patches import write_patched_classes
from fastmar_cli.server.platforms import Platform
from fastmar_cli.server.process import ServerProcess, start
from fastmar_cli.server.readiness import ready
from fastmar_cli.server.registry import Running, registered
from fastmar_cli.server.routes import HEALTHY, LIST, NO_MODELS, Routes, edits, standard_routes
from fastmar_cli.server.sockets import Handover
from fastmar_cli.server.watch import Watch

log = logging.getLogger(__name__)

POLL = 0.1  # seconds between two looks at a server that is loading
LAST_WORDS = 0.5  # seconds in which a worker's traceback arrives behind the news of its death


class Stop:
    """What signals asked for: the first one a stop, a second one haste."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.hurry = threading.Event()

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Take note; nothing else is safe here."""
        (self.hurry if self.asked.is_set() else self.asked).set()


def serve(settings: Settings, platform: Platform | None = None) -> int:
    """Check, start, wait until ready, announce, run until a signal, drain, stop. The value is the exit status."""
    archives = find_archives(settings.model_store, settings.models)
    key = settings.key()
    java = find_java(settings.java)
    torchserve = find_torchserve()
    with run_directory(settings.run_dir) as run, Handover(run.handover) as handover, stop_signals() as stop:
        properties = render(settings, run, archives)
        workers = sum(settings.workers or archive.workers for archive in archives)
        check_ports(properties)
        write_files(properties, run, torchserve, routes_for(archives, platform), fixed_key=key is not None)
        management = Management(properties["management_address"], lambda: management_key(run.key_file))
        began = time.monotonic()
        threads = max(1, cores() // workers)
        server = start(java, torchserve, run, properties, threads=threads, key=key, show=log.warning)
        watch = Watch(run, management)
        try:
            if not wait_until_ready(server, management, archives, settings, stop):
                log.warning("stopped before it was ready")
                return 0
            server.log.models_are_loaded()
            watch.start()
            with registered(_as_running(settings, properties, run)):
                announce(settings, properties, run, archives, time.monotonic() - began)
                wait_for_the_end(server, stop, watch)
            watch.stop()
            log.warning("draining: answering the requests under way (a second signal stops at once)")
            address, seconds = properties["inference_address"], settings.drain_timeout
            drain(server.pid, address, run, handover, timeout=seconds, hurry=stop.hurry)
        finally:
            server.stop()
    log.warning("stopped")
    return 0


@contextmanager
def stop_signals() -> Iterator[Stop]:
    """SIGTERM, SIGINT and SIGHUP set events as long as this lasts."""
    stop = Stop()
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # nohup ignores SIGHUP
    before = {number: signal.signal(number, stop.on_signal) for number in heard}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def routes_for(archives: list[Archive], platform: Platform | None) -> Routes:
    """Paths of the inference API that are ours: health checks, and those that a platform names."""
    versions: dict[str, list[str]] = {}
    for archive in archives:
        versions.setdefault(archive.name, []).append(archive.version)
    standard = standard_routes(versions)
    health, predictions = standard.health, standard.predictions
    if platform is not None:
        health |= dict.fromkeys(platform.health_routes, HEALTHY)
        predictions |= {path: f"/predictions/{name}" for path, name in platform.routes(versions).items()}
    return Routes(health, predictions, {**documents(archives), LIST: NO_MODELS})


def write_files(
    properties: dict[str, str], run: RunDirectory, torchserve: TorchServe, routes: Routes, *, fixed_key: bool
) -> None:
    """Everything the server reads at start."""
    write_properties(properties, run.config)
    routes.write(run.routes)
    package = resources.files(__package__)
    run.logging.write_text(package.joinpath("log4j2.xml").read_text("utf-8"), encoding="utf-8")
    run.metrics.write_text(package.joinpath("metrics.yaml").read_text("utf-8"), encoding="utf-8")
    ours = edits(run.routes, run.ready_file, fixed_key=fixed_key)
    problems = write_patched_classes(
        torchserve.jar,
        run.classes,
        drain_file=run.drain_file,
        handover=run.handover,
        more=ours,
    )
    needed = tuple(ours)
    missing = [problem for problem in problems if problem.startswith(needed)]
    if missing:
        raise ConfigRefused(
            f"this TorchServe is not as expected: {'; '.join(missing)}.",
            fix="install torchserve 0.12: health checks, and --key-file, need it.",
        )
    for problem in problems:
        log.warning("TorchServe is left as upstream made it, which may end connections or workers badly: %s", problem)


def wait_until_ready(
    server: ServerProcess, management: Management, archives: list[Archive], settings: Settings, stop: Stop
) -> bool:
    """Wait until every worker is READY; False when a signal came first."""
    deadline = time.monotonic() + settings.ready_timeout
    scaled, refused = False, ""
    with Progress(archives) as progress:
        while not stop.asked.wait(POLL):
            refuse_dead(server)
            refuse_failed(server, archives)
            try:
                loaded = ready(management, archives, settings.workers)
                if not scaled:
                    begin_scaling(management, archives, settings.workers)
                    scaled = True
                refused = ""
            except ManagementError as error:
                if error.status == http.client.NOT_FOUND:
                    raise _not_registered(server, error) from error
                loaded, refused = [], f" TorchServe says: {error}"  # at first the key is still being written
            except (OSError, http.client.HTTPException, ValueError):
                loaded = []  # not listening yet
            progress.update(loaded)
            if len(loaded) == len(archives):
                return True
            if time.monotonic() > deadline:
                missing = ", ".join(archive.label for archive in archives if archive not in loaded)
                raise NotReady(
                    f"{missing} not ready within {settings.ready_timeout:g} s.{refused}",
                    fix="give a longer --ready-timeout, or run `fastmar doctor` on the archive.",
                )
    return False


def begin_scaling(management: Management, archives: list[Archive], workers: int | None) -> None:
    """Apply --workers, which an archive's own number overrides at start. It is done in the background."""
    for archive in archives:
        if workers and workers != archive.workers:
            management.begin_scaling(archive.name, archive.version, workers)


def wait_for_the_end(server: ServerProcess, stop: Stop, watch: Watch) -> None:
    """Return on a signal; raise when the server ends by itself."""
    while not stop.asked.wait(POLL):
        refuse_dead(server)
        watch.look()


def refuse_dead(server: ServerProcess) -> None:
    """Raise when Java is gone."""
    status = server.status()
    if status is None:
        return
    server.log.wait_for_end(LAST_WORDS)
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    said = server.log.last_server_line()
    raise ServerDied(
        f"TorchServe {how}" + (f"; it last said: {said}" if said else "."),
        fix="read the lines above; for want of memory, raise -Xmx in vmargs (--config) or the container's limit.",
    )


def refuse_failed(server: ServerProcess, archives: list[Archive]) -> None:
    """Raise when a worker failed to load its model."""
    if not server.log.failures:
        return
    time.sleep(LAST_WORDS)
    model = next(iter(server.log.failures))
    path = next((archive.path for archive in archives if archive.name == model), model)
    reason, fix = server.log.reason(model)
    doctor = f"run `fastmar doctor {path}`, which loads it without TorchServe and says more."
    raise LoadFailed(f"model {model} does not load: {reason}", fix=f"{fix} Or {doctor}" if fix else doctor)


def _as_running(settings: Settings, properties: dict[str, str], run: RunDirectory) -> Running:
    return Running(
        inference=properties["inference_address"],
        management=properties["management_address"],
        metrics=properties["metrics_address"],
        model_store=properties["model_store"],
        run_dir=str(run.path),
        key_file=str(run.key_file) if settings.needs_tokens else None,
        inference_key_file=str(settings.key_file.resolve()) if settings.needs_tokens and settings.key_file else None,
        pid=os.getpid(),
    )


def _not_registered(server: ServerProcess, error: ManagementError) -> LoadFailed:
    return LoadFailed(
        f"TorchServe did not take an archive: {server.log.last_server_line() or error}",
        fix="run `fastmar doctor` on it, or export it again.",
    )
