"""The management API, with TorchServe's paths and JSON, so that the same client works with both engines.

`GET /models`, `GET /models/NAME` (the default version), `GET /models/NAME/all` and `/models/NAME/VERSION`,
`POST /models?url=FILE`, `PUT /models/NAME/VERSION/set-default`, `DELETE /models/NAME/VERSION`.
"""

from __future__ import annotations

import hmac
import json
import logging
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import psutil

from fastmar_contract.errors import FastmarError
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.checks import read_spec
from fastmar_runtime.schema import describe
from fastmar_serving.archives import read_archive
from fastmar_serving.asgi.pool import Pool

log = logging.getLogger(__name__)

READY, LOADING = "READY", "UNLOADING"  # TorchServe's terms
NO_PROCESS = -1  # a worker serves all versions, so its pid would be misleading for one of them


class ManagementRefused(Exception):
    """The API refuses a request."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


class ManagementApi:
    """The operations of the API.

    Args:
        pool: the workers.
        store: the model store.
    """

    def __init__(self, pool: Pool, store: Path) -> None:
        self._pool = pool
        self._store = store
        self._started = datetime.now(UTC).isoformat()
        self._loaded_at: dict[tuple[str, str], str] = {}  # of versions that were loaded after the start

    def answer(self, method: str, path: str, query: dict[str, list[str]]) -> Any:
        """Handle a request; returns the JSON value of the response.

        Raises:
            ManagementRefused: the request is refused.
        """
        match method, [unquote(part) for part in path.strip("/").split("/")]:
            case "GET", ["models"]:
                return {"models": self._list()}
            case "POST", ["models"]:
                return self._register(query.get("url", [""])[0])
            case "GET", ["models", name]:
                description = self._describe(name, self._default(name))
                if query.get("customized") == ["true"]:
                    description["customizedMetadata"] = self._schema(name, self._default(name))
                return [description]
            case "GET", ["models", name, "all"]:
                self._default(name)
                return [self._describe(*key) for key in self._pool.loaded.archives if key[0] == name]
            case "GET", ["models", name, version]:
                return [self._describe(*self._known(name, version))]
            case "PUT", ["models", name, version, "set-default"]:
                self._pool.set_default(*self._known(name, version))
                return {"status": f"Default version of {name} is {version}"}
            case "PUT", ["models", name, version]:  # scaling: the number of workers can't be changed
                self._known(name, version)
                return {"status": "Processing worker updates..."}
            case "DELETE", ["models", name, version]:
                return self._unregister(*self._known(name, version))
        raise ManagementRefused(404, f"the path {path} does not exist, or does not allow {method}")

    def _list(self) -> list[dict[str, str]]:
        loaded = self._pool.loaded
        return [
            {"modelName": name, "modelUrl": loaded.archives[name, default].name}
            for name, default in loaded.defaults.items()
        ]

    def _register(self, file: str) -> dict[str, str]:
        if not file or Path(file).name != file:
            raise ManagementRefused(400, f"{file!r} is not a file name in the model store")
        try:
            archive = read_archive(self._store / file)
            if (archive.name, archive.version) in self._pool.loaded.archives:
                raise ManagementRefused(409, f"{archive.label} is already loaded")
            self._pool.load(archive.name, archive.version, archive.path)
            self._loaded_at[archive.name, archive.version] = datetime.now(UTC).isoformat()
        except FastmarError as error:
            raise ManagementRefused(409, error.message) from error
        return {"status": f"{archive.label} is loaded"}

    def _unregister(self, name: str, version: str) -> dict[str, str]:
        versions = [key for key in self._pool.loaded.archives if key[0] == name]
        if self._pool.loaded.defaults[name] == version and len(versions) > 1:
            raise ManagementRefused(403, f"{name} {version} is the default version")
        self._pool.unload(name, version)
        return {"status": f"{name} {version} is unloaded"}

    def _schema(self, name: str, version: str) -> str:
        """The JSON Schema of a model as text, as in TorchServe's `customizedMetadata`."""
        return json.dumps(describe(read_spec(BundleFiles(self._pool.loaded.archives[name, version]))))

    def _default(self, name: str) -> str:
        try:
            return self._pool.loaded.defaults[name]
        except KeyError:
            raise ManagementRefused(404, f"no model {name} is loaded") from None

    def _known(self, name: str, version: str) -> tuple[str, str]:
        if (name, version) not in self._pool.loaded.archives:
            raise ManagementRefused(404, f"{name} {version} is not loaded")
        return name, version

    def _describe(self, name: str, version: str) -> dict[str, Any]:
        workers = self._pool.pids()
        return {
            "modelName": name,
            "modelVersion": version,
            "modelUrl": self._pool.loaded.archives[name, version].name,
            "minWorkers": len(workers),
            "maxWorkers": len(workers),
            "batchSize": 1,
            "workers": [
                {
                    "id": str(number),
                    "status": READY if ready else LOADING,
                    "pid": NO_PROCESS,
                    "startTime": self._loaded_at.get((name, version), self._started),
                    "memoryUsage": _memory(pid),
                }
                for number, (pid, ready) in enumerate(workers)
            ],
            "jobQueueStatus": {"pendingRequests": 0},
        }


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@contextmanager
def serve_management(api: ManagementApi, address: Path, key: str | None) -> Iterator[None]:
    """Serve the API on a Unix socket while the block runs. `key` is None if the mode of the socket is enough."""

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = self._answer()
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = respond  # noqa: N815 - names of the base class

        def _answer(self) -> tuple[int, Any]:
            given = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if key is not None and not hmac.compare_digest(given.encode(), key.encode()):
                return 401, {"code": 401, "message": "Token Authorization failed."}
            parts = urlsplit(self.path)
            try:
                return 200, api.answer(self.command, parts.path, parse_qs(parts.query))
            except ManagementRefused as refused:
                return refused.status, {"code": refused.status, "message": refused.message}
            except Exception as error:
                log.exception("the management API failed")
                return 500, {"code": 500, "message": f"{type(error).__name__}: {error}"}

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with _Server(str(address), Handler) as server:
        address.chmod(0o700)
        thread = threading.Thread(target=server.serve_forever, name="management", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            address.unlink(missing_ok=True)


def _memory(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
