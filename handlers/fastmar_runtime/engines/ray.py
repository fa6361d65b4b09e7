"""The application for Ray Serve: each replica serves all archives of a folder, which `fastmar ray package` writes.

The folder's deployment.py calls `deployment` with the arguments in config.yaml.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastmar_contract.files import sha256_of
from fastmar_contract.keys import MIN_LENGTH, is_valid, keys_in
from fastmar_runtime.bundle import SPEC, BundleFiles
from fastmar_runtime.engines.asgi import Application
from fastmar_runtime.engines.asgi_configuration import Configuration
from fastmar_runtime.engines.asgi_models import Worker
from fastmar_runtime.errors import BundleError, BundleUnreadable
from fastmar_runtime.http.asgi_types import Receive, Scope, Send
from fastmar_runtime.spec import from_dict

NAME = "Fastmar"  # of the deployment
KEY_FILE = "FASTMAR_KEY_FILE"  # environment variable: file with the keys, one of which callers must send


class Front:
    """The application behind Ray's proxy.

    Predictions are at `POST /` too, where AWS's image forwards `/invocations`. The proxy itself sends `X-Request-ID`,
    the one that the application sees in the request.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request from Ray's proxy."""
        if scope.get("method") == "POST" and scope["path"] == "/":
            scope = {**scope, "path": "/invocations"}

        async def send_once(message: dict[str, Any]) -> None:
            if "headers" in message:
                message["headers"] = [pair for pair in message["headers"] if pair[0] != b"x-request-id"]
            await send(message)

        await self._application(scope, receive, send_once)


def deployment(module: str, archives: Mapping[str, str]) -> Any:
    """The Ray Serve application.

    Loads the archives once before any replica does: a refused archive then leaves the running replicas as they are.

    Args:
        module: the module deployment.py, which is next to the archives on each node.
        archives: SHA-256 of each archive by file name; of each model, the first version is the default. The digests
            make Ray update the replicas when an archive changes.

    Raises:
        BundleError: an archive is another file, can't be read, or does not reproduce its golden records.
    """
    from ray import serve  # noqa: PLC0415 - an optional dependency

    def build() -> Front:
        return load(Path(str(importlib.import_module(module).__file__)).parent, archives)

    build()
    return serve.deployment(serve.ingress(build)(), name=NAME).bind()


def load(folder: Path, archives: Mapping[str, str]) -> Front:
    """Load archives of a folder; see `deployment`."""
    loaded = []
    defaults: dict[str, str] = {}
    for file, digest in archives.items():
        path = folder / file
        _check_digest(path, digest)
        spec = from_dict(BundleFiles(path).json(SPEC))
        loaded.append({"path": str(path), "name": spec.name, "version": spec.version})
        defaults.setdefault(spec.name, spec.version)
    threads = int(os.environ.get("OMP_NUM_THREADS") or 1)  # Ray sets it to the CPUs of the replica
    configuration = Configuration(listener=-1, archives=loaded, defaults=defaults, keys=_keys(), threads=threads)
    return Front(Worker(configuration, lambda *_: None).application)  # Ray has metrics of its own


def _check_digest(path: Path, digest: str) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise BundleUnreadable(
            f"{path} can't be read: {error}.", fix="package the archives again.", code="bundle_not_found"
        ) from error
    if found != digest:
        raise BundleUnreadable(
            f"{path} is not the file that was packaged: its SHA-256 is {found} instead of {digest}.",
            fix="package the archives again, and copy the whole folder to each node.",
            code="bundle_damaged",
        )


def _keys() -> list[str] | None:
    file = os.environ.get(KEY_FILE)
    if not file:
        return None
    keys = keys_in(Path(file).read_text("ascii"))
    if not keys or not all(map(is_valid, keys)):
        raise BundleError(
            f"{file} has no valid key.",
            fix=f"write one key a line, of {MIN_LENGTH} or more characters.",
            code="invalid_key",
        )
    return keys
