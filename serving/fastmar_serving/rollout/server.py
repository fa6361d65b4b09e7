"""The server whose models are to change: found at its URL, or where one is told that its management API is."""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastmar_client import Client, Unauthorized
from fastmar_client.keys import KeyFile
from fastmar_contract.locks import acquire
from fastmar_serving.rollout.errors import AnotherUnderWay, ManagementFailed, ServerNotFound
from fastmar_serving.torchserve import registry
from fastmar_serving.torchserve.config import reachable
from fastmar_serving.torchserve.management import TIMEOUT, Management, ManagementError, management_key

LOCK = "lifecycle.lock"
KEY_FILE = "key_file.json"  # beside the management socket, in the server's run directory


@dataclass(frozen=True)
class Where:
    """What a command was told of the server.

    Attributes:
        url: address of the inference API.
        management: address of the management API; None looks for the server among those of this machine.
        key_file: TorchServe's keys, or a file with the one inference key; None takes those of the server that is found.
        model_store: the server's folder of archives; None takes that of the server that is found.
        state_dir: its folder of defaults.json and audit.jsonl; None takes that of the server, else the model store.
    """

    url: str
    management: str | None = None
    key_file: Path | None = None
    model_store: Path | None = None
    state_dir: Path | None = None


class Server:
    """A running server: both of its APIs, and its folders where they are known."""

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
        """Its folder of archives.

        Raises:
            ServerNotFound: where it is not known, or not here.
        """
        if self._store is None:
            raise ServerNotFound(
                f"it is not known which model store the server at {self.url} loads from.",
                fix="give --model-store FOLDER, the folder that it was started with.",
            )
        if not self._store.is_dir():
            raise ServerNotFound(
                f"the server's model store {self._store} is no folder here.",
                fix="run this where the server runs (`docker exec`), or give --model-store FOLDER.",
            )
        return self._store

    @property
    def state(self) -> Path:
        """Its folder of defaults.json and audit.jsonl: the model store unless another one was given.

        Raises:
            ServerNotFound: where it is not known, or not here.
        """
        return self._state or self.store

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other deployments and rollbacks away as long as this lasts, where the system can.

        Raises:
            AnotherUnderWay: one is under way.
        """
        if self.run_dir is None or not os.access(self.run_dir, os.W_OK):
            yield
            return
        with (self.run_dir / LOCK).open("w") as file:
            if not acquire(file):
                raise AnotherUnderWay(
                    f"somebody else is changing the models of {self.url}.", fix="wait until that is done."
                )
            yield


class ExplainedManagement(Management):
    """The management API, whose failures are told to a person.

    That something is not there, or there already, is left to the caller as a ManagementError.
    """

    def _request(self, method: str, path: str, *, timeout: float = TIMEOUT) -> Any:
        try:
            return super()._request(method, path, timeout=timeout)
        except ManagementError as error:
            if error.status in (http.client.NOT_FOUND, http.client.CONFLICT):
                raise
            raise ManagementFailed(
                f"the server's management API refused {method} {path.partition('?')[0]}: {error.message or error}",
                fix="give --key-file, the key_file.json in the server's run directory."
                if "Token" in error.message
                else "read the server's log.",
            ) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ManagementFailed(
                f"the server's management API at {self._address} does not answer: {error or type(error).__name__}.",
                fix="check that the server runs; run this on its machine (`docker exec`), as its user.",
            ) from error


def find_server(where: Where) -> Server:
    """The server that `where` tells of.

    Raises:
        ServerNotFound: there is none at the URL that this user started on this machine.
    """
    url = _base(where.url)
    running = registry.find(url)
    if where.management is None and running is None:
        raise ServerNotFound(f"no `fastmar serve` of this user runs at {url} on this machine.", fix=_hint())
    address = where.management or (running.management if running else "")
    run_dir = Path(running.run_dir) if running else _socket_folder(address)
    own_keys = run_dir / KEY_FILE if run_dir else None
    one_key = where.key_file or _path(running.inference_key_file if running else None)
    if one_key is not None:
        _check_key_file(one_key)
    files = [file for file in (where.key_file, own_keys) if file is not None]
    return Server(
        url,
        ExplainedManagement(address, lambda: next(filter(None, map(management_key, files)), None)),
        Client(url, key_file=one_key or (own_keys if own_keys and own_keys.exists() else None)),
        where.model_store or _path(running.model_store if running else None),
        run_dir,
        where.state_dir or _path(running.state_dir if running else None),
    )


def _check_key_file(file: Path) -> None:
    try:
        KeyFile(file).key()
    except Unauthorized as error:
        raise ServerNotFound(error.message, fix="give another --key-file.") from error


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _base(url: str) -> str:
    """Scheme, host and port of a URL, whatever stands behind them."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is none
        usable = False
    if not usable:
        raise ServerNotFound(f"{url} is no address of a server.", fix="give --url http://127.0.0.1:8080 or the like.")
    return f"{parts.scheme}://{parts.netloc}"


def _socket_folder(address: str) -> Path | None:
    return Path(address.removeprefix("unix:")).parent if address.startswith("unix:") else None


def _hint() -> str:
    others = [reachable(server.inference) for server in registry.servers()]
    start = "start `fastmar serve`, or name its management API with --management"
    return f"give --url {' or '.join(others)}; or {start}." if others else f"{start}."
