"""The nginx template of the canary, with a real nginx and server: shares, headers, and reloads under load."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from fastmar_serving.ports import free_port
from tests.archives import tiny_archive
from tests.engines import FAST
from tests.runtime import tiny

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = [
    pytest.mark.asgi,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx-light)"),
]

TEMPLATE = Path(__file__).resolve().parents[2] / "docker" / "canary" / "fastmar.conf.template"
ANSWERS = {"1.0": ">=50k", "2.0": "<50k"}  # of each version to the same record
COUNT = 1000  # requests; a share of 10% then deviates by more than 4.8% once in a million runs

MAIN = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
{user}
events {{ worker_connections 256; }}
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


class Proxy:
    """An nginx with the template."""

    def __init__(self, folder: Path, server: str) -> None:
        self.port = free_port("127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self._server = server.removeprefix("http://")
        user = "user root;" if os.geteuid() == 0 else ""  # the user nobody has no access to pytest's folder
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user))

    def set_share(self, share: str, new: str = "2.0") -> None:
        """Fill in the template with envsubst, as documented, or in the same way if it is not installed."""
        values = {
            "CANARY_LISTEN": f"127.0.0.1:{self.port}",
            "CANARY_SERVER": self._server,
            "CANARY_MODEL": "tiny",
            "CANARY_OLD": "1.0",
            "CANARY_NEW": new,
            "CANARY_SHARE": share,
        }
        text = TEMPLATE.read_text()
        if envsubst := shutil.which("envsubst"):
            command = [envsubst, " ".join(f"${name}" for name in values)]
            text = subprocess.run(command, input=text, env=values, capture_output=True, text=True, check=True).stdout
        else:
            text = re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], text)
        (self.folder / "fastmar.conf").write_text(text)

    def command(self, *arguments: str) -> list[str]:
        return [str(NGINX), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), *arguments]

    def reload(self) -> None:
        """Reload the configuration, and wait until new worker processes have replaced the old ones."""
        before = self.workers()
        subprocess.run(self.command("-s", "reload"), check=True, capture_output=True)
        deadline = time.monotonic() + 60
        while before & self.workers() or not self.workers():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def workers(self) -> set[int]:
        import psutil

        master = psutil.Process(int((self.folder / "nginx.pid").read_text()))
        return {worker.pid for worker in master.children()}

    def wait_until_open(self, process: subprocess.Popen[str]) -> None:
        while True:
            assert process.poll() is None, (self.folder / "error.log").read_text()
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("canary")
    store = folder / "store"
    store.mkdir()
    tiny_archive(store, "1.0")
    tiny_archive(store, "2.0", flipped=True)
    with FAST.serve(store) as server:
        proxy = Proxy(folder, server.url)
        proxy.set_share("10%")
        with subprocess.Popen(proxy.command(), stderr=subprocess.DEVNULL, text=True) as process:
            try:
                proxy.wait_until_open(process)
                yield proxy
            finally:
                process.terminate()


def ask(proxy: Proxy, count: int) -> Counter[tuple[int, str | None, Any]]:
    """Status, version and prediction of `count` requests in 8 threads, each with a new connection."""

    def one(_: int) -> tuple[int, str | None, Any]:
        reply = requests.post(f"{proxy.url}/predictions/tiny", json=tiny.record(), timeout=30)
        return reply.status_code, reply.headers.get("X-Model-Version"), reply.json().get("prediction")

    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(one, range(count)))


def test_a_tenth_of_the_requests_goes_to_the_new_version(proxy: Proxy) -> None:
    outcomes = ask(proxy, COUNT)
    assert set(outcomes) == {(200, version, answer) for version, answer in ANSWERS.items()}
    assert outcomes[200, "2.0", ANSWERS["2.0"]] / COUNT == pytest.approx(0.1, abs=0.048)


def test_changing_the_share_under_load_loses_no_request(proxy: Proxy) -> None:
    proxy.set_share("100%")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ask, proxy, COUNT)
        proxy.reload()
        outcomes = running.result()
    assert set(outcomes) <= {(200, version, answer) for version, answer in ANSWERS.items()}
    assert set(ask(proxy, 100)) == {(200, "2.0", ANSWERS["2.0"])}
    proxy.set_share("10%", new="1.0")  # all requests to the old version
    proxy.reload()
    assert set(ask(proxy, 100)) == {(200, "1.0", ANSWERS["1.0"])}
    proxy.set_share("10%")
    proxy.reload()


def test_other_paths_are_not_changed(proxy: Proxy) -> None:
    for version, answer in ANSWERS.items():
        reply = requests.post(f"{proxy.url}/predictions/tiny/{version}", json=tiny.record(), timeout=30)
        assert reply.json()["prediction"] == answer
        assert "X-Model-Version" not in reply.headers
    assert requests.get(f"{proxy.url}/ping", timeout=30).status_code == 200
    refused = requests.post(f"{proxy.url}/predictions/tiny", data="{", timeout=30)
    assert refused.status_code == 400
    assert refused.headers["X-Model-Version"] in ANSWERS


def test_502_if_the_server_does_not_respond(proxy: Proxy, tmp_path: Path) -> None:
    alone = Proxy(tmp_path, f"http://127.0.0.1:{free_port('127.0.0.1')}")
    alone.set_share("50%")
    with subprocess.Popen(alone.command(), stderr=subprocess.DEVNULL, text=True) as process:
        try:
            alone.wait_until_open(process)
            assert requests.post(f"{alone.url}/predictions/tiny", json={}, timeout=30).status_code == 502
        finally:
            process.terminate()
