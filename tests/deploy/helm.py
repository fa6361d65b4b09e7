"""Helm's own code, from a shared library, and an API server that keeps what Helm creates."""

from __future__ import annotations

import ctypes
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import Manifest

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ROOT / ".build/helm/helm_sdkpy/_lib"

# Resources of the API server: group and version, name in URLs, kind.
RESOURCES = (
    ("v1", "serviceaccounts", "ServiceAccount"),
    ("v1", "services", "Service"),
    ("v1", "secrets", "Secret"),
    ("apps/v1", "deployments", "Deployment"),
    ("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget"),
    ("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy"),
)


class HelmFailed(Exception):
    """Helm reported an error."""


class Helm:
    """Helm with an empty cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        found = sorted(LIBRARIES.glob("*/libhelm_sdkpy.so"))
        if not found:
            pytest.skip("no Helm: .ci/helm installs it")
        self._kubeconfig = kubeconfig
        self._library = ctypes.CDLL(str(found[0]))
        self._library.helm_sdkpy_last_error.restype = ctypes.c_char_p

    def lint(self, chart: Path) -> list[str]:
        """Lint a chart; returns the findings above the severity "info"."""
        result = self._call("lint", str(chart))
        return [str(message) for message in result["Messages"] or () if message["Severity"] > 1]

    def install(self, chart: Path, values: dict[str, Any]) -> list[Manifest]:
        """Install a chart into the namespace `models`; returns what Helm has created."""
        options = {
            "wait": False,
            "timeout_seconds": 30,
            "server_side_apply": "false",
            "disable_openapi_validation": True,
        }
        with api_server() as (address, created):
            cluster = {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "here", "cluster": {"server": address}}],
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
                "users": [{"name": "nobody", "user": {}}],
                "current-context": "here",
            }
            self._kubeconfig.write_text(yaml.safe_dump(cluster), "utf-8")
            self._call("install", "fastmar", str(chart), json.dumps(values), "", json.dumps(options))
        return created

    def _call(self, function: str, *arguments: str) -> Any:
        handle, result = ctypes.c_ulonglong(), ctypes.c_char_p()
        created = self._library.helm_sdkpy_config_create(
            b"models", str(self._kubeconfig).encode(), None, b"{}", ctypes.byref(handle)
        )
        self._check(created)
        given = [argument.encode() for argument in arguments]
        try:
            self._check(getattr(self._library, f"helm_sdkpy_{function}")(handle, *given, ctypes.byref(result)))
        finally:
            self._library.helm_sdkpy_config_destroy(handle)
        return json.loads(result.value or b"{}")

    def _check(self, status: int) -> None:
        if status:
            raise HelmFailed((self._library.helm_sdkpy_last_error() or b"").decode())


@contextmanager
def api_server() -> Iterator[tuple[str, list[Manifest]]]:
    """An API server of Kubernetes without objects; yields its address and the list of what is created."""
    created: list[Manifest] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            found = DISCOVERY.get(path) or (EMPTY if path.endswith("/secrets") else None)
            self._reply(200 if found else 404, found or NOT_FOUND)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if "/secrets" in self.path:  # Helm's record of the release, in Protocol Buffers
                self._reply(201, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "release"}})
                return
            created.append(json.loads(body))
            self._reply(201, created[-1])

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._reply(200, {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "release"}})

        def _reply(self, status: int, content: Any) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", created
        finally:
            server.shutdown()


NOT_FOUND = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
EMPTY = {"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []}


def _discovery() -> dict[str, Any]:
    answers: dict[str, Any] = {
        "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
    }
    groups = []
    for version in dict.fromkeys(version for version, _, _ in RESOURCES):
        resources = [
            {"name": name, "namespaced": True, "kind": kind, "verbs": ["get", "create"]}
            for where, name, kind in RESOURCES
            if where == version
        ]
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        answers[path] = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
        if "/" in version:
            group, _, short = version.partition("/")
            listed = {"groupVersion": version, "version": short}
            groups.append({"name": group, "versions": [listed], "preferredVersion": listed})
    answers["/apis"] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    return answers


DISCOVERY = _discovery()
