"""`fastmar serve`: check, start and monitor the server, and drain it at the end.

The front is the Java code that receives each request before TorchServe does (`front/`).
"""

from __future__ import annotations

import http.client
import json
import logging
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from importlib import resources

from fastmar_contract.check_requests import VARIABLE
from fastmar_contract.request_log import LogOptions
from fastmar_serving.announce import Progress, announce
from fastmar_serving.archives import Archive
from fastmar_serving.audit import audit_files, follow
from fastmar_serving.errors import LoadFailed, NotReady, ServerDied
from fastmar_serving.keys import KeyFileWatch, Keys, make_keys
from fastmar_serving.left_out import serve_others
from fastmar_serving.management import Management, ManagementError
from fastmar_serving.platforms import Platform
from fastmar_serving.ports import INFERENCE, check_ports
from fastmar_serving.registry import register_server, server_entry
from fastmar_serving.request_log import log_options
from fastmar_serving.run_directory import RunDirectory, run_directory
from fastmar_serving.settings import Settings, cores
from fastmar_serving.signals import Stop, describe_status, stop_signals
from fastmar_serving.sockets import listen
from fastmar_serving.storage import SPACE_FIX, has_space, is_full
from fastmar_serving.torchserve.config import render, write_properties
from fastmar_serving.torchserve.control import Control
from fastmar_serving.torchserve.drain import drain
from fastmar_serving.torchserve.java import find_java, find_torchserve
from fastmar_serving.torchserve.logs import ACCESS_LOGGER
from fastmar_serving.torchserve.process import ServerProcess, start
from fastmar_serving.torchserve.readiness import ready
from fastmar_serving.torchserve.routes import LOADING, PlatformRoutes, ServedModel, message
from fastmar_serving.torchserve.watch import Watch

log = logging.getLogger(__name__)

POLL = 0.1  # seconds between two checks of the server
OUTPUT_DELAY = 0.5  # seconds to wait for the last output of a process that died


def serve(settings: Settings, platform: Platform | None = None) -> int:
    """Run a server until a signal, and drain it. Returns the exit status."""
    return serve_others(settings, partial(_serve, settings, platform))


def _serve(settings: Settings, platform: Platform | None, archives: list[Archive], left_out: Sequence[str]) -> int:
    variables = _worker_variables(settings, log_options(settings, archives))
    keys = make_keys(settings)
    java = find_java(settings.java)
    torchserve = find_torchserve()
    with run_directory(settings.run_dir) as run, Control(run.front_socket) as control, stop_signals() as stop:
        properties = render(settings, run, archives)
        check_ports(properties)
        with listen(properties[INFERENCE]) as listener:
            write_files(properties, run, keys, access_log=settings.access_log)
            management = Management(properties["management_address"], lambda: keys.management)
            began = time.monotonic()
            workers = sum(settings.workers or archive.workers for archive in archives)
            server = start(
                java,
                torchserve,
                run,
                properties,
                threads=max(1, cores() // workers),
                variables=variables | {VARIABLE: run.check_token() or ""},
                show=log.warning,
                descriptors=[listener.fileno()],
            )
            routes = platform_routes(archives, platform)
            watch = Watch(
                run,
                management,
                control,
                store=settings.model_store,
                platform=routes,
                expected={archive.name for archive in archives},
                hang_timeout=settings.hang_timeout,
            )
            try:
                front_has_socket = configure(server, control, settings, keys, listener, left_out)
                control.send(served=message(unready_models(archives), routes, LOADING))
                if not wait_until_ready(server, management, archives, settings, stop):
                    log.info("stopped before it was ready")
                    return 0
                server.log.models_are_loaded()
                watch.start()
                running = server_entry(settings, properties, run, keys)
                with register_server(running), follow(audit_files(running)):
                    announce(settings, properties, run, archives, time.monotonic() - began, left_out)
                    wait_for_the_end(server, stop, watch, KeyFileWatch(settings, keys, partial(_accept, control)))
                watch.stop()
                log.info("draining: answering the requests in flight (a second signal stops at once)")
                drain(control, listener if front_has_socket else None, timeout=settings.drain_timeout, hurry=stop.hurry)
            finally:
                server.stop()
    log.info("stopped")
    return 0


def configure(
    server: ServerProcess,
    control: Control,
    settings: Settings,
    keys: Keys,
    listener: socket.socket,
    left_out: Sequence[str] = (),
) -> bool:
    """Wait for the front, and send it the keys, timeouts and socket. Returns whether it uses the socket.

    Without epoll, or netty's native library for it, Java opens the port itself.
    """
    control.wait_for_front(lambda: raise_if_dead(server))
    front_settings = {
        "origins": settings.cors_origins,
        "requestTimeout": settings.request_timeout,
        "listeners": {"inference": listener.fileno()},
        "leftOut": left_out,
    }
    takes_sockets = control.send(settings=front_settings, keys=keys.by_api()).takes_sockets
    if not takes_sockets:
        listener.close()
    return takes_sockets


def _worker_variables(settings: Settings, requests: LogOptions | None) -> dict[str, str]:
    """Environment variables with the settings of the workers' profiles and request log, read by the handler."""
    variables = {"FASTMAR_PROFILE_PERIOD": str(settings.profile_period)}
    if settings.profiles:
        variables["FASTMAR_PROFILES"] = str(settings.profiles.resolve())
    if requests is not None:
        variables["FASTMAR_REQUEST_LOG_OPTIONS"] = json.dumps(asdict(requests))
    return variables


def platform_routes(archives: list[Archive], platform: Platform | None) -> PlatformRoutes:
    """The health and prediction paths that a platform uses."""
    if platform is None:
        return PlatformRoutes()
    names = {archive.name for archive in archives}
    predictions = {path: f"/predictions/{name}" for path, name in platform.routes(names).items()}
    predictions.pop("/invocations", None)  # the front's own
    return PlatformRoutes(platform.health_routes, predictions)


def unready_models(archives: list[Archive]) -> list[ServedModel]:
    """The models to serve, none of which is ready yet. The default version of each model comes first in `archives`."""
    versions: dict[str, list[str]] = {}
    for archive in archives:
        versions.setdefault(archive.name, []).append(archive.version)
    return [ServedModel(name, found[0], dict.fromkeys(found, False)) for name, found in versions.items()]


def write_files(properties: dict[str, str], run: RunDirectory, keys: Keys, *, access_log: bool = False) -> None:
    """Write the configuration files of the server, and the keys for its clients."""
    write_properties(properties, run.config)
    keys.write(run.key_file)
    package = resources.files(__package__)
    logging_file = package.joinpath("log4j2.xml").read_text("utf-8")
    if access_log:
        logging_file = logging_file.replace(f'"{ACCESS_LOGGER}" level="off"', f'"{ACCESS_LOGGER}" level="info"')
    run.logging.write_text(logging_file, encoding="utf-8")
    run.metrics.write_text(package.joinpath("metrics.yaml").read_text("utf-8"), encoding="utf-8")


def wait_until_ready(
    server: ServerProcess, management: Management, archives: list[Archive], settings: Settings, stop: Stop
) -> bool:
    """Wait until all workers are READY; returns False if a signal came first."""
    deadline = time.monotonic() + settings.ready_timeout
    scaled, refused = False, ""
    with Progress(archives) as progress:
        while not stop.requested.wait(POLL):
            raise_if_dead(server)
            raise_if_failed(server, archives)
            try:
                loaded = ready(management, archives, settings.workers)
                if not scaled:
                    begin_scaling(management, archives, settings.workers)
                    scaled = True
                refused = ""
            except ManagementError as error:
                if error.status == http.client.NOT_FOUND:
                    raise _not_registered(server, error) from error
                loaded, refused = [], f" TorchServe's message: {error}"
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
    """Apply --workers, since at start TorchServe uses the number in the archive. Returns without waiting."""
    for archive in archives:
        if workers and workers != archive.workers:
            management.begin_scaling(archive.name, archive.version, workers)


def wait_for_the_end(server: ServerProcess, stop: Stop, watch: Watch, key_file: KeyFileWatch) -> None:
    """Return on a signal; raise if the server dies."""
    while not stop.requested.wait(POLL):
        raise_if_dead(server)
        watch.poll()
        key_file.poll()


def _accept(control: Control, keys: tuple[str, ...]) -> None:
    with suppress(OSError):  # the front has died, which the launcher detects itself
        control.send(keys={"inference": keys})


def raise_if_dead(server: ServerProcess) -> None:
    """Raise if Java has ended."""
    status = server.status()
    if status is None:
        return
    server.log.wait_for_end(OUTPUT_DELAY)
    if not has_space(server.folder):
        raise ServerDied(
            f"TorchServe {describe_status(status)}: the disk of its run directory {server.folder} is full.",
            fix=SPACE_FIX,
            code="disk_full",
        )
    last_line = server.log.last_server_line()
    raise ServerDied(
        f"TorchServe {describe_status(status)}" + (f"; its last output: {last_line}" if last_line else "."),
        fix="read the lines above; if memory was short, raise -Xmx in vmargs (--config) or the container's limit.",
    )


def raise_if_failed(server: ServerProcess, archives: list[Archive]) -> None:
    """Raise if a worker failed to load its model."""
    if not server.log.failures:
        return
    time.sleep(OUTPUT_DELAY)
    model = next(iter(server.log.failures))
    archive = _find_broken(server, archives, model)
    reason, fix = server.log.reason(model)
    doctor = f"run `fastmar doctor {archive.path if archive else model}` to load it without TorchServe."
    if is_full(reason):
        raise LoadFailed(f"model {model} does not load: {reason}", fix=SPACE_FIX, code="disk_full")
    failed = LoadFailed(f"model {model} does not load: {reason}", fix=f"{fix} Or {doctor}" if fix else doctor)
    failed.file = archive.path.name if archive else None
    raise failed


def _find_broken(server: ServerProcess, archives: list[Archive], model: str) -> Archive | None:
    """The archive of a model that did not load. Of several versions, the one whose worker printed the reason."""
    versions = [archive for archive in archives if archive.name == model]
    broken = [archive for archive in versions if f"{archive.name}_{archive.version}" in server.log.broken]
    return next(iter(broken or versions), None)


def _not_registered(server: ServerProcess, error: ManagementError) -> LoadFailed:
    reason = server.log.last_server_line() or str(error)
    if is_full(f"{reason} {error}"):
        return LoadFailed(f"TorchServe can't unpack an archive: {reason}", fix=SPACE_FIX, code="disk_full")
    return LoadFailed(
        f"TorchServe refused an archive: {reason}",
        fix="run `fastmar doctor` on it, or export it again.",
        code="registration_refused",
    )
