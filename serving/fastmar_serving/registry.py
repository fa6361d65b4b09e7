"""The registry of this user's running servers, by which `fastmar deploy --url ...` finds their management API.

Each running `fastmar serve` has one file, named after its inference port, in a private folder of the user.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from fastmar_serving.keys import Keys
from fastmar_serving.ports import INFERENCE, MANAGEMENT, METRICS
from fastmar_serving.run_directory import RunDirectory
from fastmar_serving.settings import ANY_HOST, LOOPBACK, Settings

DEFAULT_PORTS = {"http": 80, "https": 443}
LOCAL_HOSTS = {*LOOPBACK, *ANY_HOST}


@dataclass(frozen=True)
class ServerEntry:
    """The entry of a running server.

    Attributes:
        inference: address of the inference API.
        management: address of the management API, `unix:/path` or `http://127.0.0.1:port`.
        metrics: address of the metrics.
        model_store: absolute path of the folder of archives.
        run_dir: the run directory.
        key_file: file with the generated keys, None if there are none.
        inference_key_file: file with the fixed inference key, None if there is none.
        pid: process id of the launcher.
        state_dir: folder of defaults.json and audit.jsonl, None if that is the model store.
    """

    inference: str
    management: str
    metrics: str
    model_store: str
    run_dir: str
    key_file: str | None
    inference_key_file: str | None
    pid: int
    state_dir: str | None = None


def server_entry(settings: Settings, addresses: Mapping[str, str], run: RunDirectory, keys: Keys) -> ServerEntry:
    """The entry of this process's server; `addresses` are by property, see `ports`."""
    fixed = settings.key_file if settings.needs_tokens else None
    return ServerEntry(
        inference=addresses[INFERENCE],
        management=addresses[MANAGEMENT],
        metrics=addresses[METRICS],
        model_store=str(settings.model_store.resolve()),
        run_dir=str(run.path),
        key_file=str(run.key_file) if keys.management else None,
        inference_key_file=str(fixed.resolve()) if fixed else None,
        pid=os.getpid(),
        state_dir=str(settings.state_dir.resolve()) if settings.state_dir else None,
    )


def folder() -> Path:
    """The private folder of the entries."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and os.access(base, os.W_OK):
        return Path(base) / "fastmar"
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"fastmar-servers-{user}"


@contextmanager
def register_server(server: ServerEntry) -> Iterator[None]:
    """Register a server while the block runs."""
    file = folder() / f"{urlsplit(server.inference).port}.json"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid") and file.parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{file.parent} belongs to another user")
    file.parent.chmod(0o700)
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(asdict(server), indent=2), encoding="utf-8")
    draft.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def find(url: str) -> ServerEntry | None:
    """The server of this user that listens at a URL; None if there is none.

    Loopback addresses and those for all interfaces match each other.
    """
    target = urlsplit(url)
    for server in servers():
        own = urlsplit(server.inference)
        if own.port == (target.port or DEFAULT_PORTS.get(target.scheme)) and (
            own.hostname == target.hostname or {own.hostname, target.hostname} <= LOCAL_HOSTS
        ):
            return server
    return None


def servers() -> list[ServerEntry]:
    """All running servers; ignores entries of servers that were killed."""
    running = []
    for file in sorted(folder().glob("*.json")):
        try:
            if hasattr(os, "getuid") and file.stat().st_uid != os.getuid():
                continue
            server = ServerEntry(**json.loads(file.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            continue
        if psutil.pid_exists(server.pid):
            running.append(server)
    return running
