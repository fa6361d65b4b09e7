"""Readiness as the management API tells it: every worker of every model READY.

`/ping` is green while workers are still loading, so it is not asked.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from fastmar_cli.server.archives import Archive

TIMEOUT = 5.0


class ManagementError(Exception):
    """The management API refused a request; the message is its own."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket file instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Management:
    """The management API at `unix:/path` or `http://host:port`."""

    def __init__(self, address: str, key: Callable[[], str | None] = lambda: None) -> None:
        self._address = address
        self._key = key

    def describe(self, name: str) -> list[dict[str, Any]]:
        """All versions of a model, as TorchServe describes them: `workers`, `jobQueueStatus`, ..."""
        description: list[dict[str, Any]] = self._request("GET", f"/models/{quote(name)}/all")
        return description

    def describe_default(self, name: str) -> list[dict[str, Any]]:
        """The version of a model that answers where no version is named, in a list of one."""
        description: list[dict[str, Any]] = self._request("GET", f"/models/{quote(name)}")
        return description

    def names(self) -> list[str]:
        """The models that are registered."""
        names: list[str] = []
        page: str | None = "0"
        while page is not None:
            answer = self._request("GET", f"/models?limit=100&next_page_token={quote(page)}")
            names += [model["modelName"] for model in answer["models"]]
            page = answer.get("nextPageToken")
        return names

    def scale(self, name: str, version: str, workers: int, *, timeout: float) -> None:
        """Set the number of workers of one version; returns when they are loaded."""
        query = f"min_worker={workers}&max_worker={workers}&synchronous=true&timeout={int(timeout)}"
        self._request("PUT", f"/models/{quote(name)}/{quote(version)}?{query}", timeout=timeout)

    def _request(self, method: str, path: str, *, timeout: float = TIMEOUT) -> Any:
        connection = self._connection(timeout)
        key = self._key()
        try:
            connection.request(method, path, headers={"Authorization": f"Bearer {key}"} if key else {})
            answer = connection.getresponse()
            body = json.loads(answer.read() or b"null")
        finally:
            connection.close()
        if answer.status >= 400:
            raise ManagementError(answer.status, body.get("message", "") if isinstance(body, dict) else str(body))
        return body

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._address.startswith("unix:"):
            return UnixConnection(self._address.removeprefix("unix:"), timeout)
        parts = urlsplit(self._address)
        return http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=timeout)


def management_key(key_file: Path) -> str | None:
    """The management API's key, None while TorchServe has not written it."""
    try:
        key: str = json.loads(key_file.read_text("utf-8"))["management"]["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return key


def ready(management: Management, archives: list[Archive]) -> list[Archive]:
    """The archives whose workers are all READY, as many of them as the archive asks for.

    Raises OSError while nothing listens, ManagementError 404 for a model that TorchServe did not register.
    """
    descriptions = {name: management.describe(name) for name in {archive.name for archive in archives}}
    return [archive for archive in archives if _is_ready(archive, descriptions[archive.name])]


def _is_ready(archive: Archive, versions: list[dict[str, Any]]) -> bool:
    for version in versions:
        if version["modelVersion"] == archive.version:
            states = [worker["status"] for worker in version["workers"]]
            return len(states) >= archive.workers and all(state == "READY" for state in states)
    return False
