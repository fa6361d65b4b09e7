"""A real Prometheus with the files of docker/prometheus, except the server's address and the intervals."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests

from fastmar_serving.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "docker" / "prometheus"
HOST = "127.0.0.1"
PATIENCE = 60.0
T = TypeVar("T")


def wait_for(look: Callable[[], T], what: str, seconds: float = PATIENCE) -> T:
    """Poll `look` until it returns a true value, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"no {what} within {seconds:g} s"
        time.sleep(0.2)
    return found


def needs(program: str) -> str:
    """Path of a program; skips the test if it is not installed."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed (Debian has it: apt-get install {program})")
    return path


@dataclass
class Prometheus:
    url: str

    def get(self, path: str, **parameters: str) -> Any:
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=60).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series."""
        return [(row["metric"], float(row["value"][1])) for row in self.get("query", query=expression)["result"]]

    def value(self, expression: str) -> float | None:
        """Value of an expression with at most one series."""
        rows = self.query(expression)
        assert len(rows) <= 1, rows
        return rows[0][1] if rows else None


@contextmanager
def prometheus(target: str, folder: Path, rules: Mapping[str, str] | None = None) -> Iterator[Prometheus]:
    """A Prometheus that scrapes `target`, HOST:PORT, once a second; `rules` replaces texts in the rules."""
    program = needs("prometheus")
    shutil.copytree(CONFIG, folder / "config")
    config = folder / "config" / "prometheus.yml"
    text = config.read_text("utf-8")
    assert "15s" in text
    config.write_text(text.replace("15s", "1s"), "utf-8")
    path = folder / "config" / "rules.yml"
    for old, new in (rules or {}).items():
        assert old in path.read_text("utf-8")
        path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
    targets = folder / "config" / "targets" / "fastmar.yml"
    assert "fastmar:8082" in targets.read_text("utf-8"), "the service's name in compose.yaml"
    targets.write_text(f'- targets: ["{target}"]\n', "utf-8")
    address = f"{HOST}:{free_port(HOST)}"
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        running = Prometheus(f"http://{address}")

        def is_ready() -> bool:
            assert process.poll() is None, (folder / "log").read_text()
            try:
                return requests.get(f"{running.url}/-/ready", timeout=60).status_code == 200
            except requests.ConnectionError:
                return False

        wait_for(is_ready, "Prometheus")
        yield running
    finally:
        process.terminate()
        process.wait(30)
