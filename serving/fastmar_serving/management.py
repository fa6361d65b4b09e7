"""Client of TorchServe's management API, which registers, scales and unregisters models.

Behaviour of TorchServe 0.12:

- A synchronous registration or scaling blocks one of the few threads that answer predictions, so all calls here are
  asynchronous.
- The number of workers in an archive takes precedence over `initial_workers`.
- The status of a worker is READY when it can answer, and UNLOADING while it starts, loads or is dead.
- The default version can't be unregistered while the model has another version.
- A request with `/token` anywhere in its path is treated as a request for new keys.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

TIMEOUT = 5.0
UNPACK_TIMEOUT = 120.0  # seconds to unpack an archive, or to end workers

READY = "READY"  # status of a worker that answers


class ManagementError(Exception):
    """The management API refused a request; `message` is TorchServe's."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
        self.message = message


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
    """The management API at `unix:/path` or `http://host:port`.

    Every method raises ManagementError for a refusal, and OSError, HTTPException or ValueError if there is no valid
    response.
    """

    def __init__(self, address: str, key: Callable[[], str | None] = lambda: None) -> None:
        self._address = address
        self._key = key

    def names(self) -> list[str]:
        """Names of the registered models."""
        names: list[str] = []
        page: str | None = "0"
        while page is not None:
            answer = self._request("GET", f"/models?limit=100&next_page_token={quote(page)}")
            names += [model["modelName"] for model in answer["models"]]
            page = answer.get("nextPageToken")
        return names

    def describe(self, name: str) -> list[dict[str, Any]]:
        """All versions of a model, as TorchServe describes them: `workers`, `jobQueueStatus`, ..."""
        description: list[dict[str, Any]] = self._request("GET", f"{_path(name)}/all")
        return description

    def describe_default(self, name: str) -> list[dict[str, Any]]:
        """The default version of a model, in a list of one."""
        description: list[dict[str, Any]] = self._request("GET", _path(name))
        return description

    def register(self, file: str) -> None:
        """Register an archive of the model store; returns before its workers are loaded.

        The first version of a model becomes its default immediately.
        """
        query = urlencode({"url": file, "initial_workers": 1, "synchronous": "false"}, quote_via=quote)
        self._request("POST", f"/models?{query}", timeout=UNPACK_TIMEOUT)

    def unregister(self, name: str, version: str) -> None:
        """Unregister a version and kill its workers immediately. Its file stays."""
        self._request("DELETE", _path(name, version), timeout=UNPACK_TIMEOUT)

    def set_default(self, name: str, version: str) -> None:
        """Make a version the default. Requests in flight are not affected."""
        self._request("PUT", f"{_path(name, version)}/set-default")

    def begin_scaling(self, name: str, version: str, workers: int) -> None:
        """Set the number of workers of one version; returns immediately."""
        query = f"min_worker={workers}&max_worker={workers}&synchronous=false"
        self._request("PUT", f"{_path(name, version)}?{query}")

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
    """The management key in a key_file.json, None if there is none."""
    try:
        key: str = json.loads(key_file.read_text("utf-8"))["management"]["key"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return key


def _path(name: str, version: str | None = None) -> str:
    parts = [name] if version is None else [name, version]
    path = "/models/" + "/".join(quote(part, safe="") for part in parts)
    return path.replace("/token", "/%74oken")  # TorchServe searches for `/token` before it decodes the path
