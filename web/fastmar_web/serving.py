"""Runs the web app with waitress, a WSGI server in pure Python."""

from __future__ import annotations

import logging
import select
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable
from typing import Any

import waitress
from flask import Flask
from waitress.server import BaseWSGIServer

from fastmar_web.app import create_app
from fastmar_web.backend import Backend
from fastmar_web.connections import channel_opener
from fastmar_web.errors import PageError, WebError
from fastmar_web.settings import MEGABYTE, Settings
from fastmar_web.tables.jobs import Jobs

THREADS = 8
CONNECTIONS = 900  # of all clients; waitress accepts no more. connections.py limits those of one client
IDLE_SECONDS = 20  # without data, after which a connection is closed
CLEANUP_SECONDS = 5  # between two checks for idle connections
NO_LOGIN = "Note: the web app has no login; put it behind a reverse proxy that authenticates users."


def serve(settings: Settings, *, open_browser: bool = False, say: Callable[[str], None] = print) -> int:
    """Serve until a signal ends the process; `say` prints a line.

    Returns:
        The exit status.

    Raises:
        WebError: the key file can't be read, or the address is in use.
    """
    backend = Backend(settings)
    app = create_app(settings, backend)
    jobs: Jobs = app.extensions["fastmar_jobs"]
    try:
        sockets = Sockets()
        server = create_server(app, settings, sockets)
    except OSError as error:
        jobs.close()
        raise WebError(
            f"can't listen on {settings.host}:{settings.port}: {error.strerror or error}.",
            fix="give another --port, or stop the program that uses this one.",
            code="address_in_use",
        ) from error
    url = f"http://{_in_url(settings.host)}:{_port(server)}"
    say(f"Web app       {url}")
    say(f"Model server  {settings.url}")
    if not settings.is_local:
        say(NO_LOGIN)
    say(f"Ready: {_models(backend)}. Ctrl-C stops it.")
    sys.stdout.flush()
    if open_browser:
        webbrowser.open(url)
    _stop_on_signals(sockets)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of queued requests, such as many pictures
    try:
        server.run()
    finally:
        server.close()
        jobs.close()
        if "fastmar_poller" in app.extensions:
            app.extensions["fastmar_poller"].close()
    return 0


class Sockets(dict[int, Any]):
    """Listening sockets and connections of waitress, by file descriptor. Its loop runs while this is true."""

    _stopped = False

    def __bool__(self) -> bool:
        return not self._stopped and len(self) > 0

    def stop(self) -> None:
        """Make `run()` return. Safe to call in a signal handler."""
        self._stopped = True
        for each in list(self.values()):
            if isinstance(each, BaseWSGIServer):
                each.pull_trigger()  # or the loop would wait for a second


def create_server(app: Flask, settings: Settings, sockets: Sockets | None = None) -> Any:
    """A waitress server for the app that listens; `run()` serves.

    Raises:
        OSError: it can't listen on the address.
    """
    proxy: dict[str, Any] = {}
    if settings.trusted_proxy:
        proxy = {
            "trusted_proxy": settings.trusted_proxy,
            "trusted_proxy_headers": {"x-forwarded-for", "x-forwarded-proto"},
        }
    sockets = Sockets() if sockets is None else sockets
    server = waitress.create_server(
        app,
        map=sockets,
        host=settings.host,
        port=settings.port,
        threads=THREADS,
        connection_limit=CONNECTIONS,
        channel_timeout=IDLE_SECONDS,
        cleanup_interval=CLEANUP_SECONDS,
        asyncore_use_poll=hasattr(select, "poll"),  # select() takes no file descriptor above 1023
        ident=None,  # no Server header
        max_request_body_size=settings.table_bytes + MEGABYTE,
        clear_untrusted_proxy_headers=True,
        **proxy,
    )
    for each in sockets.values():
        if isinstance(each, BaseWSGIServer):
            each.channel_class = channel_opener(settings.trusted_proxy)
    return server


def _stop_on_signals(sockets: Sockets) -> None:
    """Stop in order, so that uploaded tables are deleted: on SIGINT, SIGTERM and SIGHUP, unless nohup ignores the last.

    The handler does not raise an exception: Python drops one that is raised while an object is finalized.
    """

    def stop(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_IGN)  # SIGHUP is sent twice: by the shell and by the kernel
        sockets.stop()

    if threading.current_thread() is threading.main_thread():
        for each in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None)):  # Windows has no SIGHUP
            if each is not None and signal.getsignal(each) is not signal.SIG_IGN:
                signal.signal(each, stop)


def _models(backend: Backend) -> str:
    try:
        count = len(backend.models())
    except PageError as error:
        problem = error.operator or error.message
        return f"{problem[:1].lower()}{problem[1:].rstrip('.')}; pages keep checking"
    return "1 model" if count == 1 else f"{count} models"


def _port(server: Any) -> int:
    """The port that it listens on: with port 0 the system chose it."""
    if hasattr(server, "effective_listen"):  # localhost is two addresses
        return int(server.effective_listen[0][1])
    return int(server.effective_port)


def _in_url(host: str) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{shown}]" if ":" in shown and not shown.startswith("[") else shown
