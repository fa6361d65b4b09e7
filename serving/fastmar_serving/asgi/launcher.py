"""`fastmar serve --engine asgi`: check, start and monitor the workers, and drain them at the end."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial

from fastmar_runtime.turns import MAX_THREADS
from fastmar_serving.announce import announce
from fastmar_serving.archives import Archive
from fastmar_serving.asgi.management import ManagementApi, serve_management
from fastmar_serving.asgi.metrics import Metrics
from fastmar_serving.asgi.pool import ModelSet, Pool
from fastmar_serving.asgi.tls import check_certificate
from fastmar_serving.audit import audit_files, follow
from fastmar_serving.errors import ConfigRefused
from fastmar_serving.keys import KeyFileWatch, make_keys
from fastmar_serving.left_out import serve_others
from fastmar_serving.platforms import Platform
from fastmar_serving.ports import INFERENCE, MANAGEMENT, METRICS, check_ports, free_port, listen_error
from fastmar_serving.registry import register_server, server_entry
from fastmar_serving.request_log import log_options
from fastmar_serving.run_directory import run_directory
from fastmar_serving.settings import Settings, cores, url_of
from fastmar_serving.signals import stop_signals
from fastmar_serving.sockets import BACKLOG, refuse_new_connections

log = logging.getLogger(__name__)

POLL = 1.0  # seconds between two checks of the workers


def serve(settings: Settings, platform: Platform | None = None) -> int:
    """Run a server until a signal, and drain it. Returns the exit status."""
    _check_options(settings)
    check_certificate(settings)
    return serve_others(settings, partial(_serve, settings, platform))


def _serve(settings: Settings, platform: Platform | None, archives: list[Archive], left_out: Sequence[str]) -> int:
    requests = log_options(settings, archives)
    keys = make_keys(settings)
    workers = settings.workers or cores()
    began = time.monotonic()
    with ExitStack() as stack:
        run = stack.enter_context(run_directory(settings.run_dir))
        stop = stack.enter_context(stop_signals())
        check_ports(
            {
                INFERENCE: url_of(settings.host, settings.port),
                METRICS: url_of(settings.metrics_host, settings.metrics_port),
            }
        )
        port = settings.port or free_port(settings.host)
        listeners = stack.enter_context(listen(settings.host, port, workers))
        keys.write(run.key_file)
        threads = min(cores(), MAX_THREADS)
        configuration = {
            "keys": keys.inference,
            "origins": settings.cors_origins,
            "health": list(platform.health_routes) if platform else [],
            "predictions": platform.routes(archive.name for archive in archives) if platform else {},
            "threads": threads,
            "turns": str(run.path),
            "slots": max(1, cores() // threads),
            "request_timeout": settings.request_timeout,
            "server": settings.server,
            "tls_cert": str(settings.tls_cert.resolve()) if settings.tls_cert else None,
            "tls_key": str(settings.tls_key.resolve()) if settings.tls_key else None,
            "profiles": str(settings.profiles.resolve()) if settings.profiles else None,
            "profile_period": settings.profile_period,
            "request_log": asdict(requests) if requests else None,
            "log_format": settings.log_format,
            "access_log": settings.access_log,
            "check_token": run.check_token(),
        }
        log.info("starting %d workers with %s", workers, ", ".join(archive.label for archive in archives))
        metrics = Metrics(left_out)
        metrics_port = stack.enter_context(metrics.serve(settings.metrics_host, settings.metrics_port))
        pool = Pool(
            listeners,
            configuration,
            _all_archives(archives),
            hang_timeout=settings.hang_timeout,
            ready_timeout=settings.ready_timeout,
            on_metrics=metrics.add,
        )
        metrics.are_ready = lambda: [ready for _, ready in pool.pids()]
        try:
            if pool.wait_until_ready(stop.requested):
                api = ManagementApi(pool, settings.model_store.resolve())
                stack.enter_context(serve_management(api, run.management_socket, keys.management))
                addresses = {
                    INFERENCE: url_of(settings.host, port, "https" if settings.tls_cert else "http"),
                    MANAGEMENT: f"unix:{run.management_socket}",
                    METRICS: url_of(settings.metrics_host, metrics_port),
                }
                running = server_entry(settings, addresses, run, keys)
                stack.enter_context(register_server(running))
                stack.enter_context(follow(audit_files(running)))
                run.ready_file.touch()
                announce(settings, addresses, run, archives, time.monotonic() - began, left_out)
                key_file = KeyFileWatch(settings, keys, pool.set_keys)
                while not stop.requested.wait(POLL):
                    pool.watch()
                    key_file.poll()
                run.ready_file.unlink(missing_ok=True)
            else:
                log.info("stopped before all workers were ready")
                pool.stop_loading()
            log.info("draining: answering the requests in flight (a second signal stops at once)")
            for listener in listeners:
                refuse_new_connections(listener)
            pool.drain(settings.drain_timeout, stop.hurry)
        finally:
            pool.stop()
    log.info("stopped")
    return 0


def _check_options(settings: Settings) -> None:
    """Raise ConfigRefused for options that only TorchServe has."""
    if settings.config is not None:
        raise ConfigRefused(
            "--config sets properties of TorchServe, which the asgi engine does not have.",
            fix="omit it, or use --engine torchserve.",
            code="option_not_supported",
        )
    if settings.management != "unix":
        raise ConfigRefused(
            "the management API of the asgi engine is only available on a Unix socket.",
            fix="omit --management.",
            code="option_not_supported",
        )


@contextmanager
def listen(host: str, port: int, number: int) -> Iterator[list[socket.socket]]:
    """Listening sockets that share a port; the kernel distributes connections over them.

    Raises:
        ServeError: see `listen_error`. `check_ports` detects a process that listens with SO_REUSEPORT too.
    """
    listeners: list[socket.socket] = []
    try:
        try:
            for _ in range(number):
                listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
                listeners.append(listener)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                listener.bind((host.strip("[]"), port))
            for listener in listeners:
                listener.listen(BACKLOG)
                listener.setblocking(False)
        except OSError as error:
            raise listen_error({INFERENCE: (host, port, error)}) from error
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def _all_archives(archives: list[Archive]) -> ModelSet:
    """All archives. The default version of each model comes first in `archives`."""
    defaults: dict[str, str] = {}
    for archive in archives:
        defaults.setdefault(archive.name, archive.version)
    return ModelSet({(a.name, a.version): a.path.resolve() for a in archives}, defaults)
