"""docker/tls/nginx.conf with a real nginx, a self-signed certificate, and a server with a key."""

from __future__ import annotations

import http.client
import http.server
import json
import re
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.docker.archives import NAME, OLD, RECORD, write_version
from tests.docker.watched import HOST, ROOT, needs, wait_for

from fastmar_export.modalities import modalities
from fastmar_serving.ports import free_port
from fastmar_serving.testing import RunningServer, running_server

pytestmark = pytest.mark.asgi

CONFIG = ROOT / "docker" / "tls" / "nginx.conf"
KEY = "a-key-of-the-tests-alone"
PREDICT = f"/predictions/{NAME}"
BODY = json.dumps(RECORD).encode()
MAIN = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/fastmar.conf;
}}
"""


@dataclass
class Front:
    """The nginx, and the only trusted certificate."""

    port: int
    certificate: Path

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))

    def ask(self, path: str, body: bytes | None = BODY, key: str | None = KEY) -> tuple[int, bytes]:
        """Send a request with a new connection and the unchanged path; a POST if there is a body."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=self.context(), timeout=30)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        try:
            connection.request("GET" if body is None else "POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("behind")
    (folder / "key").write_text(KEY)
    options = ("--engine", "asgi", "--key-file", str(folder / "key"))
    with running_server(write_version(folder, "1.0").parent, *options) as running:
        yield running


@pytest.fixture(scope="module")
def front(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with running_front(server.url, tmp_path_factory.mktemp("nginx")) as running:
        yield running


@contextmanager
def running_front(server: str, folder: Path) -> Iterator[Front]:
    """nginx before a server, with files in a folder."""
    nginx, port = needs("nginx"), free_port(HOST)
    certificate = folder / "fastmar.crt"
    make = [needs("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]
    make += ["-days", "2", "-subj", "/CN=fastmar", "-addext", "subjectAltName=IP:127.0.0.1"]
    make += ["-keyout", str(folder / "fastmar.key"), "-out", str(certificate)]
    subprocess.run(make, check=True, capture_output=True)
    text = CONFIG.read_text("utf-8")
    for ours, here in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("127.0.0.1:8080", server.removeprefix("http://")),
        ("/etc/nginx/tls", str(folder)),
    ):
        assert ours in text
        text = text.replace(ours, here)
    (folder / "fastmar.conf").write_text(text)
    (folder / "main.conf").write_text(MAIN.format(folder=folder))
    command = [nginx, "-c", str(folder / "main.conf"), "-p", str(folder), "-e", str(folder / "error.log")]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    running = Front(port, certificate)

    def listens() -> bool:
        assert process.poll() is None, (folder / "error.log").read_text()
        try:
            return running.ask("/ping", None, None)[0] == 200
        except ConnectionRefusedError:
            return False

    try:
        wait_for(listens, "nginx")
        yield running
    finally:
        process.terminate()
        process.wait(30)


def test_predicts_over_tls_with_the_key(front: Front) -> None:
    status, body = front.ask(PREDICT)
    assert (status, json.loads(body)["prediction"]) == (200, OLD)
    status, body = front.ask(PREDICT, key=None)
    assert status in (400, 401)


def test_no_connection_without_trust_in_the_certificate(front: Front) -> None:
    connection = http.client.HTTPSConnection("127.0.0.1", front.port, timeout=30)
    with pytest.raises(ssl.SSLCertVerificationError):
        connection.request("GET", "/ping")


def test_plain_http_is_not_answered(front: Front) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=30)
    connection.request("POST", PREDICT, BODY, {"Authorization": f"Bearer {KEY}"})
    assert connection.getresponse().status == 400
    connection.close()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/models",
        "/workflows",
        "/api-description",
        f"/models/{NAME}/invoke",
        f"/v2/models/{NAME}/infer",
        "/metrics",
        "/ping/x",
        "/predictions/../models",
        "/predictions/%2e%2e/models",
        "/predictions/..%2fmodels",
        "//models",
    ],
)
def test_other_paths_have_status_404(front: Front, path: str) -> None:
    status, body = front.ask(path)
    assert status == 404
    assert b"nginx" in body, "the server answered"


def test_refuses_a_large_body_before_it_is_sent(front: Front) -> None:
    assert front.ask(PREDICT, b" " * (15 << 20))[0] == 400  # no JSON, but let through
    connection = http.client.HTTPSConnection("127.0.0.1", front.port, context=front.context(), timeout=30)
    connection.putrequest("POST", PREDICT)
    connection.putheader("Authorization", f"Bearer {KEY}")
    connection.putheader("Content-Length", str((16 << 20) + 1))
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, b"nginx" in answer.read()) == (413, True)
    connection.close()


def test_too_many_requests_have_status_429(front: Front) -> None:
    with ThreadPoolExecutor(16) as threads:
        statuses = Counter(threads.map(lambda _: front.ask(PREDICT)[0], range(400)))
    assert set(statuses) == {200, 429}
    assert statuses[200] >= 90, "a burst is let through"


class Forgetful(http.server.BaseHTTPRequestHandler):
    """Answers one request per connection, and closes it at the second one, like an idle timeout."""

    protocol_version = "HTTP/1.1"
    answered = False

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.close_connection = self.answered
        if not self.answered:
            self.answered = True
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_repeats_a_request_if_the_server_closed_the_connection(tmp_path: Path) -> None:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forgetful) as forgetful:
        threading.Thread(target=forgetful.serve_forever, daemon=True).start()
        try:
            with running_front(f"http://127.0.0.1:{forgetful.server_address[1]}", tmp_path) as front:
                assert [front.ask(PREDICT)[0] for _ in range(6)] == [200] * 6
        finally:
            forgetful.shutdown()


@pytest.mark.parametrize(
    "config", [CONFIG, ROOT / "docker/canary/fastmar.conf.template"], ids=lambda path: path.parent.name
)
def test_proxy_timeout_is_longer_than_the_response_timeout(config: Path) -> None:
    [seconds] = re.findall(r"proxy_read_timeout (\d+)s;", config.read_text("utf-8"))
    assert int(seconds) > max(each.workers()["responseTimeout"] for each in modalities().values())


def test_nginx_accepts_it_beside_the_canary(tmp_path: Path) -> None:
    """Both are files of one folder, so their names must differ."""
    canary = (ROOT / "docker/canary/fastmar.conf.template").read_text("utf-8")
    assert "/conf.d/fastmar.conf" not in canary
    values = {"LISTEN": f"127.0.0.1:{free_port(HOST)}", "SERVER": "127.0.0.1:8080", "SHARE": "10%"}
    for name, value in (values | {"MODEL": "flights", "OLD": "1.0", "NEW": "2.0"}).items():
        canary = canary.replace(f"${{CANARY_{name}}}", value)
    tls = re.sub(r"^ *ssl_certificate.*$", "", CONFIG.read_text("utf-8"), flags=re.MULTILINE)
    tls = tls.replace("listen 443 ssl;", f"listen 127.0.0.1:{free_port(HOST)};")
    (tmp_path / "fastmar.conf").write_text(tls + canary)
    (tmp_path / "main.conf").write_text(MAIN.format(folder=tmp_path))
    command = [needs("nginx"), "-t", "-c", tmp_path / "main.conf", "-p", tmp_path, "-e", tmp_path / "error.log"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
