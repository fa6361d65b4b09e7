"""The server of a rollout, found by its URL or by the address of its management API."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastmar_client import Client, Unauthorized
from fastmar_client.keys import KeyFile
from fastmar_contract.check_requests import HEADER
from fastmar_contract.locks import acquire
from fastmar_contract.urls import http_url
from fastmar_serving import registry
from fastmar_serving.management import TIMEOUT, Management, ManagementError, management_key
from fastmar_serving.rollout.errors import ManagementFailed, ServerLocked, ServerNotFound
from fastmar_serving.run_directory import RunDirectory
from fastmar_serving.settings import reachable_url

LOCK = "lifecycle.lock"
CONNECT_TIMEOUT = 2.0  # seconds
PORTS = {"http": 80, "https": 443}  # of URLs without a port
KEY_FILE = "key_file.json"  # beside the management socket, in the server's run directory


@dataclass(frozen=True)
class ServerOptions:
    """How to reach a server. None means: as registered by the running server.

    Attributes:
        url: address of the inference API.
        management: address of the management API.
        key_file: key_file.json of the server, or a file with the inference key.
        model_store: folder of archives.
        state_dir: folder of defaults.json and audit.jsonl; by default the model store.
    """

    url: str
    management: str | None = None
    key_file: Path | None = None
    model_store: Path | None = None
    state_dir: Path | None = None


class Server:
    """A running server: its two APIs, and its folders if they are known."""

    def __init__(
        self,
        url: str,
        management: Management,
        client: Client,
        store: Path | None,
        run_dir: Path | None,
        state: Path | None = None,
    ) -> None:
        self.url = url
        self.management = management
        self.client = client
        self.run_dir = run_dir
        self._store = store
        self._state = state

    @property
    def store(self) -> Path:
        """The model store.

        Raises:
            ServerNotFound: it is unknown, or not on this machine.
        """
        if self._store is None:
            raise ServerNotFound(
                f"the model store of the server at {self.url} is unknown.",
                fix="give --model-store FOLDER, the folder that the server was started with.",
                code="model_store_unknown",
            )
        if not self._store.is_dir():
            raise ServerNotFound(
                f"the server's model store {self._store} does not exist on this machine.",
                fix="run this on the server's machine (`docker exec`), or give --model-store FOLDER.",
                code="model_store_missing",
            )
        return self._store

    @property
    def state(self) -> Path:
        """The state directory: by default the model store.

        Raises:
            ServerNotFound: it is unknown, or not on this machine.
        """
        return self._state or self.store

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lock that allows one deployment or rollback at a time, if the run directory is writable.

        Raises:
            ServerLocked: another process holds the lock.
        """
        if self.run_dir is None or not os.access(self.run_dir, os.W_OK):
            yield
            return
        with (self.run_dir / LOCK).open("w") as file:
            if not acquire(file):
                raise ServerLocked(f"another command is changing the models of {self.url}.", fix="wait until it ends.")
            yield


class ExplainedManagement(Management):
    """The management API, with failures as messages for a person.

    Statuses 404 and 409 stay a ManagementError, which the caller handles.
    """

    def _request(self, method: str, path: str, *, timeout: float = TIMEOUT) -> Any:
        try:
            return super()._request(method, path, timeout=timeout)
        except ManagementError as error:
            if error.status in (http.client.NOT_FOUND, http.client.CONFLICT):
                raise
            raise ManagementFailed(
                f"the server's management API refused {method} {path.partition('?')[0]}: {error.message or error}",
                code="management_refused",
                fix="give --key-file, the key_file.json in the server's run directory."
                if "Token" in error.message
                else "read the server's log.",
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ManagementFailed(
                f"the server's management API at {self._address} does not answer: {error or type(error).__name__}.",
                fix="check that the server runs; run this on its machine (`docker exec`), as its user.",
                code="management_unreachable",
            ) from error


def find_server(options: ServerOptions) -> Server:
    """Find a running server.

    Raises:
        ServerNotFound: this user runs no server at the URL on this machine.
    """
    url = _base(options.url)
    running = registry.find(url)
    if options.management is None and running is None:
        raise _not_found(url)
    address = options.management or (running.management if running else "")
    run_dir = Path(running.run_dir) if running else _socket_folder(address)
    own_keys = run_dir / KEY_FILE if run_dir else None
    one_key = options.key_file or _path(running.inference_key_file if running else None)
    if one_key is not None:
        _check_key_file(one_key)
    files = [file for file in (options.key_file, own_keys) if file is not None]
    keys = one_key or (own_keys if own_keys and own_keys.exists() else None)
    return Server(
        url,
        ExplainedManagement(address, lambda: next(filter(None, map(management_key, files)), None)),
        Client(url, headers=_check_header(run_dir), key_file=keys),
        options.model_store or _path(running.model_store if running else None),
        run_dir,
        options.state_dir or _path(running.state_dir if running else None),
    )


def _check_header(run_dir: Path | None) -> dict[str, str]:
    """The header that marks check requests; none if the run directory of the server is not on this machine."""
    token = RunDirectory(run_dir).check_token() if run_dir else None
    return {HEADER: token} if token else {}


def _check_key_file(file: Path) -> None:
    try:
        KeyFile(file).key()
    except Unauthorized as error:
        raise ServerNotFound(error.message, fix="give another --key-file.", code="key_file_unreadable") from error


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _base(url: str) -> str:
    """Scheme, host and port of a URL, without its path."""
    parts = urlsplit(http_url(url))
    try:
        is_valid = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:  # the port is not a number
        is_valid = False
    if not is_valid:
        raise ServerNotFound(
            f"{url!r} is not a valid server URL.", fix="give a --url such as http://127.0.0.1:8080.", code="invalid_url"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _socket_folder(address: str) -> Path | None:
    return Path(address.removeprefix("unix:")).parent if address.startswith("unix:") else None


def _not_found(url: str) -> ServerNotFound:
    if not _is_listening(url):
        return ServerNotFound(f"no `fastmar serve` of this user runs at {url} on this machine.", fix=_hint())
    return ServerNotFound(
        f"a server listens at {url}, but it is no `fastmar serve` of this user on this machine.",
        fix="run the command where the server runs: for Compose `docker/compose.sh exec fastmar fastmar models`, for "
        "another container `docker exec CONTAINER fastmar models`, or as the user of the server; or give the address "
        "of its management API with --management.",
        code="server_elsewhere",
    )


def _is_listening(url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname, parts.port or PORTS[parts.scheme]), CONNECT_TIMEOUT):
            return True
    except OSError:
        return False


def _hint() -> str:
    others = [reachable_url(server.inference) for server in registry.servers()]
    start = "start `fastmar serve`, or give the address of its management API with --management"
    return f"give --url {' or '.join(others)}; or {start}." if others else f"{start}."
