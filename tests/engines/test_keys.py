"""Keys, health checks, ports, and the paths that need no key."""

from __future__ import annotations

import base64
import http.client
import json
import re
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from fastmar_client import Client
from fastmar_serving import registry
from fastmar_serving.management import Management, ManagementError
from fastmar_serving.testing import RunningServer
from tests.engines import Engine, needs, workers
from tests.engines.calls import KEY, OLD, call, post, prediction, wait_for
from tests.runtime import tiny

pytestmark = needs("launcher")

WITHOUT_KEY = [
    "/", "/ping", "/ping?a=b", "/v2/health/live", "/v2/health/ready", "/v1/models/tiny", "/v2/models/tiny/ready",
    "/v2/models/tiny/versions/1.0/ready",
]  # fmt: skip
WITH_KEY = [
    "/metrics", "/models", "/models/tiny", "/v1/models", "/v2", "/v2/models/tiny", "/predictions/tiny", "/docs",
    "/predictions/tiny/1.0/schema", "/schema", "/openapi.json", "/api-description", "/workflows", "/invocations",
    "/nothing", "/..", "/../health", "/%2e%2e/ready", "/PING", "/ping/", "/v1/models/tiny%2F",
]  # fmt: skip


class TestInferenceKey:
    @pytest.mark.parametrize("path", WITHOUT_KEY)
    def test_health_needs_no_key(self, keyed: RunningServer, path: str) -> None:
        assert call(keyed, "GET", path, key=None).status == 200

    @pytest.mark.parametrize("path", WITH_KEY)
    def test_other_paths_need_the_key(self, keyed: RunningServer, path: str) -> None:
        for method in ("GET", "POST"):
            reply = call(keyed, method, path, key=None)
            assert reply.status == 401, method
            assert 'Bearer realm="fastmar"' in reply.headers["WWW-Authenticate"]

    @pytest.mark.parametrize("path", ["/predictions/tiny", "/v1/models/tiny:predict", "/v2/models/tiny/infer"])
    @pytest.mark.parametrize("key", ["", "wrong", "wrong-é", KEY[:-1], KEY + "x", KEY.upper()])
    def test_other_keys_are_refused(self, keyed: RunningServer, path: str, key: str) -> None:
        assert post(keyed, path=path, key=None, Authorization=f"Bearer {key}").status == 401

    def test_the_key_gives_access(self, keyed: RunningServer) -> None:
        assert prediction(keyed) == OLD
        listed = {"name": "tiny", "version": "1.0", "versions": ["1.0"], "ready": True}
        assert call(keyed, "GET", "/v1/models").json == {"models": ["tiny"], "details": [listed]}
        assert [model["name"] for model in call(keyed, "GET", "/schema").json["models"]] == ["tiny"]
        assert call(keyed, "GET", "/openapi.json").json["openapi"].startswith("3.1")

    def test_browsers_send_the_key_as_a_password(self, keyed: RunningServer) -> None:
        challenges = ", ".join(call(keyed, "GET", "/docs", key=None).headers.get_all("WWW-Authenticate", []))
        assert re.findall(r"(\w+) realm=", challenges) == ["Bearer", "Basic"]
        for password, status in ((KEY, 200), (KEY[:-1], 401), ("", 401)):
            pair = base64.b64encode(f"anybody:{password}".encode()).decode()
            reply = call(keyed, "GET", "/docs", key=None, Authorization=f"Basic {pair}")
            assert reply.status == status
        assert call(keyed, "GET", "/docs").headers["Content-Type"] == "text/html; charset=utf-8"

    def test_no_process_shows_the_key(self, keyed: RunningServer) -> None:
        launcher = psutil.Process(keyed.process.pid)
        for process in (launcher, *launcher.children(recursive=True)):
            assert KEY not in " ".join([*process.cmdline(), *process.environ().values()])
        assert KEY not in "\n".join(keyed.lines) + keyed.stderr.read_text()


class TestKeyFile:
    def test_keys_are_replaced_without_a_gap(self, engine: Engine, tiny_store: Path, tmp_path: Path) -> None:
        old, new = "the-old-key-of-callers", "the-new-key-of-callers"
        file = tmp_path / "keys"
        file.write_text(f"{old}\n")
        with engine.serve(tiny_store, "--key-file", str(file)) as server, closing(connection(server)) as kept:
            client = Client(server.url, key_file=file)

            def changed(text: str, times: int) -> list[bool]:
                """Whether the old and the new key are accepted, on an open and on new connections."""
                file.write_text(text)
                wait_for(lambda: server.stderr.read_text().count("keys that are accepted") == times)
                assert client.predict("tiny", tiny.record())["prediction"] == OLD, "with the first key in the file"
                accepted = [ask(kept, key) == 200 for key in (old, new)]
                assert [prediction(server, key=key) == OLD for key in (old, new)] == accepted
                return accepted

            assert changed(f"{old}\n", times=0) == [True, False]
            assert changed(f"# until all callers have the new key\n{new}\n\n{old}\n", times=1) == [True, True]
            file.write_text("short\n")
            wait_for(lambda: "previous keys stay valid" in server.stderr.read_text())
            assert changed(f"{new}\n", times=2) == [False, True]
            for worker in workers(server):
                worker.kill()
            wait_for(lambda: prediction(server, key=new) == OLD)
            assert prediction(server, key=old) == 401
            client.close()
            for key in (old, new):
                assert key not in "\n".join(server.lines) + server.stderr.read_text()


class TestManagementKey:
    def test_is_generated_and_not_the_inference_key(self, keyed: RunningServer, management: Management) -> None:
        running = registry.find(keyed.url)
        assert running is not None
        assert running.key_file is not None
        keys = json.loads(Path(running.key_file).read_text())
        assert "inference" not in keys  # the fixed key is not copied
        assert management.names() == ["tiny"]
        assert post(keyed, key=keys["management"]["key"]).status == 401
        for key in (None, lambda: KEY):
            with pytest.raises(ManagementError) as refused:
                (Management(running.management, key) if key else Management(running.management)).names()
            assert refused.value.status == 401
        assert Path(running.key_file).parent.stat().st_mode & 0o777 == 0o700

    @needs("config_file")
    @needs("management_port")
    def test_port_of_the_management_api(self, engine: Engine, tiny_store: Path, tmp_path: Path) -> None:
        (tmp_path / "small.properties").write_text("max_request_size=65536\n")
        options = ["--no-token", "--management", "0", "--config", str(tmp_path / "small.properties")]
        with engine.serve(tiny_store, *options) as server:
            running = registry.find(server.url)
            assert running is not None
            assert running.key_file is not None
            key = json.loads(Path(running.key_file).read_text())["management"]["key"]
            port = urlsplit(server.management).port
            assert port in listening(server)
            assert (status(port, "GET", "/models"), status(port, "GET", "/models", key)) == (401, 200)
            assert prediction(server, key=None) == OLD
            assert post(server, bytes(65537), key=None).code == "too_large"


class TestPorts:
    def test_listens_on_two_ports_only(self, keyed: RunningServer) -> None:
        assert listening(keyed) == {urlsplit(url).port for url in (keyed.url, keyed.metrics)}, "and no gRPC"

    @needs("metrics_path")
    def test_metrics_port_has_metrics_only(self, keyed: RunningServer) -> None:
        port = urlsplit(keyed.metrics).port
        assert status(port, "GET", "/metrics") == 200
        for path in (*WITHOUT_KEY, *WITH_KEY[1:]):
            assert {status(port, method, path) for method in ("GET", "POST")} == {404}, path


def test_no_worker(keyed: RunningServer) -> None:
    """Killed workers are replaced; until then the server is not ready, or new connections wait."""
    before = {worker.pid for worker in workers(keyed)}
    assert before
    for worker in workers(keyed):
        worker.kill()
    wait_for(lambda: workers(keyed) and not before & {worker.pid for worker in workers(keyed)})
    wait_for(lambda: call(keyed, "GET", "/ping", key=None).status == 200)
    wait_for(lambda: prediction(keyed) == OLD)  # a worker that TorchServe still counts may have been killed


def listening(server: RunningServer) -> set[int]:
    """TCP ports on which a process of the server listens."""
    launcher = psutil.Process(server.process.pid)
    connections = [
        c for process in (launcher, *launcher.children(recursive=True)) for c in process.net_connections("tcp")
    ]
    return {connection.laddr.port for connection in connections if connection.status == psutil.CONN_LISTEN}


def connection(server: RunningServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port, timeout=30)


def ask(connection: http.client.HTTPConnection, key: str) -> int:
    """The status of a request on an open connection, which a caller may keep while the keys change."""
    connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {key}"})
    response = connection.getresponse()
    response.read()
    return response.status


def status(port: int | None, method: str, path: str, key: str | None = None) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(
            method, path, b"" if method == "POST" else None, {"Authorization": f"Bearer {key}"} if key else {}
        )
        return connection.getresponse().status
