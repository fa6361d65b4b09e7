"""The services of docker/compose.yaml in a clean checkout, with free ports and a separate project name."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.docker.archives import NAME, RECORD
from tests.docker.clouds import WEB_IMAGE
from tests.docker.watched import HOST, ROOT

from fastmar_serving.ports import free_port

START_TIMEOUT = 400
LABEL = "com.docker.compose"


def need_compose() -> None:
    """Skip if Compose is not installed."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode and shutil.which("docker-compose") is None:
        pytest.skip("neither `docker compose` nor docker-compose is installed (apt-get install docker-compose)")


def checkout(folder: Path) -> Path:
    """Copy the files that git tracks, and new ones that it does not ignore: no settings, key or archives."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is not a git checkout")
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


@dataclass
class Stack:
    """The services of one checkout, and commands that run in it."""

    folder: Path
    engine: str  # empty: neither ENGINE nor an image is set
    project: str
    port: int = field(default_factory=partial(free_port, HOST))
    metrics_port: int = field(default_factory=partial(free_port, HOST))
    web_port: int = field(default_factory=partial(free_port, HOST))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def web_url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    @property
    def environment(self) -> Mapping[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("FASTMAR_", "COMPOSE_", "ENGINE"))
        }
        return kept | {
            "COMPOSE_PROJECT_NAME": self.project,
            "ENGINE": self.engine,
            "FASTMAR_WEB_IMAGE": WEB_IMAGE,
            "FASTMAR_PORT": str(self.port),
            "FASTMAR_METRICS_PORT": str(self.metrics_port),
            "FASTMAR_WEB_PORT": str(self.web_port),
        }

    def run(self, *command: str, fails: bool = False) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_TIMEOUT,
            stdin=subprocess.DEVNULL,
        )
        assert (done.returncode != 0) == fails, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def compose(self, *arguments: str) -> str:
        return self.run("docker/compose.sh", *arguments).stdout

    def fastmar(self, *arguments: str) -> str:
        return self.compose("exec", "-T", "fastmar", "fastmar", *arguments)

    def inspect(self, service: str = "fastmar") -> Any:
        """`docker inspect` of a service's container."""
        # docker-compose takes a second of processor time for the same, too much for a loop.
        labels = {"project": self.project, "service": service}
        filters = [word for name, value in labels.items() for word in ("--filter", f"label={LABEL}.{name}={value}")]
        container = self.run("docker", "ps", "--all", "--quiet", *filters).stdout.strip()
        return json.loads(self.run("docker", "inspect", container).stdout)[0]

    def key(self) -> str:
        """The key that `make up` generated."""
        return (self.folder / "docker" / "keys" / "inference.key").read_text("ascii").strip()

    def ask(
        self, key: str | None = None, path: str = f"/predictions/{NAME}", record: Any = RECORD
    ) -> requests.Response:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return requests.post(self.url + path, json=record, headers=headers, timeout=30)


@contextmanager
def stack(folder: Path, engine: str, project: str, up: Sequence[str] = ()) -> Iterator[Stack]:
    """Start the services with a command, and remove them with their volumes at the end."""
    running = Stack(folder, engine, project)
    try:
        if up:
            running.run(*up)
        yield running
    finally:
        running.compose("down", "--volumes", "--timeout", "60")
