"""docker/compose.yaml in a clean checkout of this project, on ports and under a name of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.docker.archives import NAME, RECORD
from tests.docker.clouds import WEB_IMAGE
from tests.docker.watched import ROOT, free_port

STARTS_WITHIN = 400


def need_compose() -> None:
    """Skip where neither Compose is installed."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode and shutil.which("docker-compose") is None:
        pytest.skip("neither `docker compose` nor docker-compose is installed (apt-get install docker-compose)")


def checkout(folder: Path) -> Path:
    """What git has of this project, and what is about to be committed: no settings, no key, no archive."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is no git checkout")
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@dataclass
class Stack:
    """Services of one checkout; commands run in it as a person would give them, with these ports."""

    folder: Path
    image: str
    project: str
    port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    web_port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def environment(self) -> Mapping[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FASTMAR_", "COMPOSE_"))}
        return kept | {
            "COMPOSE_PROJECT_NAME": self.project,
            "FASTMAR_IMAGE": self.image,
            "FASTMAR_WEB_IMAGE": WEB_IMAGE,
            "FASTMAR_PORT": str(self.port),
            "FASTMAR_METRICS_PORT": str(self.metrics_port),
            "FASTMAR_WEB_PORT": str(self.web_port),
        }

    def run(self, *words: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=STARTS_WITHIN,
            stdin=subprocess.DEVNULL,
        )
        assert (done.returncode != 0) == fails, f"{words} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def compose(self, *words: str) -> str:
        return self.run("docker/compose.sh", *words).stdout

    def fastmar(self, *words: str) -> str:
        return self.compose("exec", "-T", "fastmar", "fastmar", *words)

    def inspect(self, service: str = "fastmar") -> Any:
        """What the engine says of a service's container."""
        return json.loads(self.run("docker", "inspect", self.compose("ps", "-q", service).strip()).stdout)[0]

    def key(self) -> str:
        """The key that `make up` made."""
        return (self.folder / "docker" / "keys" / "inference.key").read_text("ascii")

    def ask(
        self, key: str | None = None, path: str = f"/predictions/{NAME}", record: Any = RECORD
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return requests.post(self.url + path, json=record, headers=headers, timeout=30)


@contextmanager
def stack(folder: Path, image: str, project: str, up: Sequence[str] = ()) -> Iterator[Stack]:
    """Bring it up with a command, and in the end down, with its volume."""
    running = Stack(folder, image, project)
    try:
        if up:
            running.run(*up)
        yield running
    finally:
        running.compose("down", "--volumes", "--timeout", "60")
