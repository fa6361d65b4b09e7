"""The web app as a process: waitress, which is Python alone and runs on any system."""

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
from fastmar_web.errors import PageError, WebError
from fastmar_web.jobs import Jobs
from fastmar_web.settings import MEGABYTE, Settings
from fastmar_web.slow import Channel

THREADS = 8
# waitress stops accepting at the limit, so slow or half-sent requests must neither fill it nor stay for long.
CONNECTIONS = 900
SILENCE = 20  # seconds without data after which a connection is closed; see slow.py for one that drips
CLEANUP = 5  # seconds between two looks for such connections
NO_LOG_IN = "Note: the web app has no log-in of its own; put it behind a front that has one."


def serve(settings: Settings, *, open_browser: bool = False, say: Callable[[str], None] = print) -> int:
    """Serve until the process is told to end; the value is its exit status.

    Raises:
        WebError: the key file can't be read, the address is taken.
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
            f"{settings.host}:{settings.port} can't be listened on: {error.strerror or error}.",
            fix="give another --port, or end what is there.",
        ) from error
    url = f"http://{_in_url(settings.host)}:{_port(server)}"
    say(f"Web app       {url}")
    say(f"Model server  {settings.url}")
    if not settings.is_local:
        say(NO_LOG_IN)
    say(f"Ready: {_models(backend)}. Ctrl-C stops it.")
    sys.stdout.flush()
    if open_browser:
        webbrowser.open(url)
    _end_on_signals(sockets)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # many pictures at once are no news
    try:
        server.run()
    finally:
        server.close()
        jobs.close()
    return 0


class Sockets(dict[int, Any]):
    """What waitress listens on, and its connections, by file descriptor; its loop runs while this is true."""

    _ended = False

    def __bool__(self) -> bool:
        return not self._ended and len(self) > 0

    def end(self) -> None:
        """Make `run()` return. May be called in a signal handler."""
        self._ended = True
        for each in list(self.values()):
            if isinstance(each, BaseWSGIServer):
                each.pull_trigger()  # the loop waits for a second otherwise


def create_server(app: Flask, settings: Settings, sockets: Sockets | None = None) -> Any:
    """The app behind waitress, listening; `run()` serves.

    Raises:
        OSError: the address can't be listened on.
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
        channel_timeout=SILENCE,
        cleanup_interval=CLEANUP,
        asyncore_use_poll=hasattr(select, "poll"),  # select() takes no file descriptor above 1023
        ident=None,  # no need to say what this is
        max_request_body_size=settings.table_bytes + MEGABYTE,
        clear_untrusted_proxy_headers=True,
        **proxy,
    )
    for each in sockets.values():
        if isinstance(each, BaseWSGIServer):
            each.channel_class = Channel
    return server


def _end_on_signals(sockets: Sockets) -> None:
    """End in order, so that no table stays behind: also when the terminal is closed, unless nohup prevents that.

    The handler raises no exception: Python drops one that is raised while an object is finalized.
    """

    def end(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_IGN)  # SIGHUP comes from the shell and from the kernel
        sockets.end()

    if threading.current_thread() is threading.main_thread():
        for each in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None)):  # Windows has no SIGHUP
            if each is not None and signal.getsignal(each) is not signal.SIG_IGN:
                signal.signal(each, end)


def _models(backend: Backend) -> str:
    try:
        count = len(backend.models())
    except PageError as error:
        return f"{error.message[:1].lower()}{error.message[1:].rstrip('.')}; the page looks for it by itself"
    return "1 model" if count == 1 else f"{count} models"


def _port(server: Any) -> int:
    """The port that the system chose, where 0 was asked for."""
    if hasattr(server, "effective_listen"):  # localhost is two addresses
        return int(server.effective_listen[0][1])
    return int(server.effective_port)


def _in_url(host: str) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"[{shown}]" if ":" in shown and not shown.startswith("[") else shown
