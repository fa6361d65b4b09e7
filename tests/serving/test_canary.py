"""The canary front, a real nginx before a real TorchServe: who answers, how often, and what a change of share loses."""

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

from fastmar_serving.torchserve.config import free_port
from fastmar_serving.torchserve.testing import running_server
from tests.archives import tiny_archive
from tests.runtime import tiny

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
pytestmark = [
    pytest.mark.torchserve,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: nginx-light)"),
]

TEMPLATE = Path(__file__).resolve().parents[2] / "docker" / "canary" / "fastmar.conf.template"
ANSWERS = {"1.0": ">=50k", "2.0": "<50k"}  # of each version to the same record
COUNT = 1000  # requests; the share of one that is drawn with 10% is then within 4.8% of it, but for once in a million

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


class Front:
    """An nginx with the template filled in."""

    def __init__(self, folder: Path, server: str) -> None:
        self.port = free_port("127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = folder
        self._server = server.removeprefix("http://")
        user = "user root;" if os.geteuid() == 0 else ""  # nobody could not look into pytest's folder
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder, user=user))

    def share(self, share: str, new: str = "2.0") -> None:
        """Fill the template in, with the command that the documents show or, where it is missing, as it does."""
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

    def command(self, *words: str) -> list[str]:
        return [str(NGINX), "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), *words]

    def reload(self) -> None:
        """Return when new processes of nginx's have taken over and the old ones are gone."""
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
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("canary")
    store = folder / "store"
    store.mkdir()
    tiny_archive(store, "1.0")
    tiny_archive(store, "2.0", flipped=True)
    with running_server(store) as server:
        made = Front(folder, server.url)
        made.share("10%")
        with subprocess.Popen(made.command(), stderr=subprocess.DEVNULL, text=True) as process:
            try:
                made.wait_until_open(process)
                yield made
            finally:
                process.terminate()


def ask(front: Front, count: int) -> Counter[tuple[int, str | None, Any]]:
    """Status, version and prediction of so many requests in 8 streams, each over a connection of its own."""

    def one(_: int) -> tuple[int, str | None, Any]:
        reply = requests.post(f"{front.url}/predictions/tiny", json=tiny.record(), timeout=30)
        return reply.status_code, reply.headers.get("X-Model-Version"), reply.json().get("prediction")

    with ThreadPoolExecutor(8) as pool:
        return Counter(pool.map(one, range(count)))


def test_a_tenth_goes_to_the_new_version_and_the_header_says_which_answered(front: Front) -> None:
    outcomes = ask(front, COUNT)
    assert set(outcomes) == {(200, version, answer) for version, answer in ANSWERS.items()}
    assert outcomes[200, "2.0", ANSWERS["2.0"]] / COUNT == pytest.approx(0.1, abs=0.048)


def test_another_share_takes_effect_while_requests_go_on_and_none_fails(front: Front) -> None:
    front.share("100%")
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(ask, front, COUNT)
        front.reload()
        outcomes = under_way.result()
    assert set(outcomes) <= {(200, version, answer) for version, answer in ANSWERS.items()}
    assert set(ask(front, 100)) == {(200, "2.0", ANSWERS["2.0"])}
    front.share("10%", new="1.0")  # taken back
    front.reload()
    assert set(ask(front, 100)) == {(200, "1.0", ANSWERS["1.0"])}
    front.share("10%")
    front.reload()


def test_all_else_passes_as_it_is(front: Front) -> None:
    for version, answer in ANSWERS.items():
        reply = requests.post(f"{front.url}/predictions/tiny/{version}", json=tiny.record(), timeout=30)
        assert reply.json()["prediction"] == answer
        assert "X-Model-Version" not in reply.headers
    assert requests.get(f"{front.url}/ping", timeout=30).status_code == 200
    refused = requests.post(f"{front.url}/predictions/tiny", data="{", timeout=30)
    assert refused.status_code == 400
    assert refused.headers["X-Model-Version"] in ANSWERS


def test_a_server_that_is_away_is_told(front: Front, tmp_path: Path) -> None:
    alone = Front(tmp_path, f"http://127.0.0.1:{free_port('127.0.0.1')}")
    alone.share("50%")
    with subprocess.Popen(alone.command(), stderr=subprocess.DEVNULL, text=True) as process:
        try:
            alone.wait_until_open(process)
            assert requests.post(f"{alone.url}/predictions/tiny", json={}, timeout=30).status_code == 502
        finally:
            process.terminate()
