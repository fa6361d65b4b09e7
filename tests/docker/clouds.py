"""Containers of the image, requests to them as from a cloud's proxy, and archives, for the tests of this folder."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.runtime import tiny, tiny_pictures

from fastmar_export.archive import write_archive
from fastmar_export.bundle import Bundle
from fastmar_runtime.golden import GoldenRecords
from fastmar_runtime.predictor import Predictor

IMAGES = {"torchserve": "fastmar:latest", "asgi": "fastmar:asgi"}
IMAGE = IMAGES["asgi"]  # the default, since it starts faster
WEB_IMAGE = "fastmar-web:latest"
READY_TIMEOUT = 120.0
PORT = 8080


def docker(*arguments: str, **options: Any) -> str:
    """Run a docker command and return its output."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


@dataclass
class Answer:
    """The response to a request."""

    status: int
    content_type: str
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass
class Container:
    """A running container, reached at its own address as from a cloud's proxy."""

    id: str
    port: int

    @property
    def host(self) -> str:
        return docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", self.id)

    @property
    def running(self) -> bool:
        return docker("inspect", "--format", "{{.State.Running}}", self.id) == "true"

    @property
    def exit_code(self) -> int:
        return int(docker("inspect", "--format", "{{.State.ExitCode}}", self.id))

    def log(self) -> str:
        done = subprocess.run(["docker", "logs", self.id], capture_output=True, text=True, check=True)
        return done.stdout + done.stderr

    def get(self, path: str, timeout: float = 10) -> Answer:
        return ask(self.host, self.port, "GET", path, timeout=timeout)

    def post(self, path: str, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Answer:
        sent = {"Content-Type": content_type, **(headers or {})}
        return ask(self.host, self.port, "POST", path, body, sent, timeout=60)

    def post_json(self, path: str, data: Any) -> Answer:
        return self.post(path, json.dumps(data).encode(), "application/json")

    def wait(self, path: str = "/ping") -> list[int]:
        """Poll until all workers are ready, and return the statuses of the path without consecutive duplicates."""
        host, seen, end = self.host, [], time.monotonic() + READY_TIMEOUT
        while time.monotonic() < end and self.running:
            try:
                status = ask(host, self.port, "GET", path, timeout=2).status
            except (OSError, http.client.HTTPException):
                time.sleep(0.2)  # not listening yet
                continue
            if not seen or seen[-1] != status:
                seen.append(status)
            if status == 200 and "Ready: " in self.log():  # the first worker of the asgi engine already answers 200
                return seen
            time.sleep(0.2)
        raise AssertionError(f"never ready, {seen}:\n{self.log()}")


def ask(
    host: str,
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10,
) -> Answer:
    """Send one request with a new connection."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        with suppress(BrokenPipeError):  # the server refuses the body before it has read it
            connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers.get("Content-Type") or "", answer.read())
    finally:
        connection.close()


@contextmanager
def container(*options: str, image: str = IMAGE, command: Sequence[str] = (), port: int = PORT) -> Iterator[Container]:
    """`docker run OPTIONS IMAGE COMMAND`; the container is removed at the end."""
    running = Container(docker("run", "--detach", *options, image, *command), port)
    try:
        yield running
    finally:
        docker("rm", "--force", "--volumes", running.id)


def mounted(folder: Path, target: str) -> tuple[str, ...]:
    """Options that mount a folder read-only."""
    return ("--mount", f"type=bind,source={folder},target={target},readonly")


def environment(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Options that set environment variables."""
    return tuple(option for name, value in variables.items() for option in ("--env", f"{name}={value}"))


def readable(folder: Path) -> Path:
    """Make a folder that the image's user can read; pytest's folders are private."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    return folder


def table_archive(folder: Path) -> Path:
    """Write the tiny table model as an archive."""
    model = tiny.spec()
    network = tiny.graph(tiny.weights_for(model))
    return write_archive(Bundle(model, network, tiny.golden(Predictor(model, network))), readable(folder))


def picture_archive(folder: Path) -> Path:
    """Write the tiny picture model as an archive."""
    predictor = tiny_pictures.predictor()
    records = [{"image": {"b64": tiny_pictures.b64(tiny_pictures.picture(colour))}} for colour in ("red", "blue")]
    inputs, _ = predictor.preprocess(records)
    golden = GoldenRecords(records, predictor.predict(records), {**inputs, "output": predictor.run(inputs)})
    return write_archive(Bundle(predictor.spec, tiny_pictures.graph(), golden), readable(folder))


@dataclass
class Streams:
    """Clients that send requests without pause until a connection is refused or the test ends.

    `outcomes` counts statuses, and the exceptions of requests whose connection had been accepted.
    """

    container: Container
    path: str
    body: bytes
    outcomes: Counter[str] = field(default_factory=Counter)
    _answered: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self, count: int) -> Iterator[None]:
        """Send requests with `count` clients while the block runs, which starts after the first answer."""
        host = self.container.host
        threads = [threading.Thread(target=self._send, args=(host,)) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            assert self._answered.wait(30)
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _send(self, host: str) -> None:
        while not self._stop.is_set():
            connection = http.client.HTTPConnection(host, self.container.port, timeout=30)
            try:
                connection.connect()
            except OSError:
                return  # the connection was not accepted
            try:
                connection.request("POST", self.path, self.body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.outcomes[repr(error)] += 1
            else:
                self.outcomes[str(answer.status)] += 1
                self._answered.set()
            finally:
                connection.close()
