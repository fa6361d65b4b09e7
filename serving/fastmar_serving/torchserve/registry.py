"""Which servers of this user run on this machine, so that `fastmar deploy --url ...` finds their management API.

Each running `fastmar serve` keeps one small file, named after its inference port, in a folder of its user's.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from fastmar_serving.torchserve.config import ANY_HOST, LOOPBACK

HERE = {*LOOPBACK, *ANY_HOST}  # hosts of a URL under which a server may be found on its own machine


@dataclass(frozen=True)
class Running:
    """A server that runs.

    Attributes:
        inference: address of the inference API.
        management: address of the management API, `unix:/path` or `http://127.0.0.1:port`.
        metrics: address of the metrics.
        model_store: absolute path of the folder of archives.
        run_dir: the server's own folder.
        key_file: TorchServe's keys, None where no keys are asked for.
        inference_key_file: file with the one inference key that callers use, None where TorchServe's is used.
        pid: process id of the launcher.
        state_dir: folder of defaults.json and audit.jsonl, None where that is the model store.
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


def folder() -> Path:
    """Where they are listed: private to the user."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base and os.access(base, os.W_OK):
        return Path(base) / "fastmar"
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    return Path(tempfile.gettempdir()) / f"fastmar-servers-{user}"


@contextmanager
def registered(server: Running) -> Iterator[None]:
    """List a server as long as this lasts."""
    file = folder() / f"{urlsplit(server.inference).port}.json"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid") and file.parent.stat().st_uid != os.getuid():
        raise PermissionError(f"{file.parent} belongs to somebody else")
    file.parent.chmod(0o700)
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(asdict(server), indent=2), encoding="utf-8")
    draft.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def find(url: str) -> Running | None:
    """The server of this user that listens at a URL; None when there is none.

    On this machine one that listens on every interface is at the loopback too, and so is who asks for all of them.
    """
    wanted = urlsplit(url)
    for server in servers():
        own = urlsplit(server.inference)
        if own.port == (wanted.port or 80) and (
            own.hostname == wanted.hostname or {own.hostname, wanted.hostname} <= HERE
        ):
            return server
    return None


def servers() -> list[Running]:
    """All that run; what a server that was killed left behind is passed over."""
    running = []
    for file in sorted(folder().glob("*.json")):
        try:
            if hasattr(os, "getuid") and file.stat().st_uid != os.getuid():
                continue
            server = Running(**json.loads(file.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            continue
        if psutil.pid_exists(server.pid):
            running.append(server)
    return running
