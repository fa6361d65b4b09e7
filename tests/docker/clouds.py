"""Containers of the image, reached as a cloud's proxy does, and archives for them: for all tests of this folder."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.runtime import tiny, tiny_pictures

from fastmar_export.archive import Bundle, write_archive
from fastmar_runtime.golden import GoldenRecords
from fastmar_runtime.predictor import Predictor

IMAGE = "fastmar:latest"
WEB_IMAGE = "fastmar-web:latest"
READY_WITHIN = 120.0
PORT = 8080


def docker(*words: str, **options: Any) -> str:
    """Output of a docker command."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
    return done.stdout.strip()


@dataclass
class Answer:
    """What a request got."""

    status: int
    content_type: str
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.body.splitlines()]


@dataclass
class Container:
    """A container that runs, reached at its own address, as a cloud's proxy does."""

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
        """Ask until the answer is 200; the value is every status on the way, in order and once each."""
        host, seen, end = self.host, [], time.monotonic() + READY_WITHIN
        while time.monotonic() < end and self.running:
            try:
                status = ask(host, self.port, "GET", path, timeout=2).status
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)  # nobody listens yet
                continue
            if not seen or seen[-1] != status:
                seen.append(status)
            if status == 200:
                return seen
            time.sleep(0.05)
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
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers.get("Content-Type") or "", answer.read())
    finally:
        connection.close()


@contextmanager
def container(*options: str, image: str = IMAGE, command: Sequence[str] = (), port: int = PORT) -> Iterator[Container]:
    """`docker run OPTIONS IMAGE COMMAND`, removed in the end."""
    running = Container(docker("run", "--detach", *options, image, *command), port)
    try:
        yield running
    finally:
        docker("rm", "--force", "--volumes", running.id)


def mounted(folder: Path, target: str) -> tuple[str, ...]:
    """A folder that the container can read and not write."""
    return ("--mount", f"type=bind,source={folder},target={target},readonly")


def environment(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Variables of the container."""
    return tuple(word for name, value in variables.items() for word in ("--env", f"{name}={value}"))


def readable(folder: Path) -> Path:
    """A folder that the image's user may read; pytest's own are private."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    return folder


def table_archive(folder: Path) -> Path:
    """The small model of tables as an archive, with its runtime."""
    model = tiny.spec()
    network = tiny.graph(tiny.weights_for(model))
    return write_archive(Bundle(model, network, tiny.golden(Predictor(model, network))), readable(folder))


def picture_archive(folder: Path) -> Path:
    """The small model of pictures as an archive."""
    predictor = tiny_pictures.predictor()
    records = [{"image": {"b64": tiny_pictures.b64(tiny_pictures.picture(colour))}} for colour in ("red", "blue")]
    inputs, _ = predictor.preprocess(records)
    golden = GoldenRecords(records, predictor.predict(records), {**inputs, "output": predictor.run(inputs)})
    return write_archive(Bundle(predictor.spec, tiny_pictures.graph(), golden), readable(folder))


@dataclass
class Streams:
    """Clients that ask one request after another, until they are refused a connection or the test has seen enough.

    `ended` counts statuses, and whatever broke a request whose connection had been accepted.
    """

    container: Container
    path: str
    body: bytes
    ended: Counter[str] = field(default_factory=Counter)
    _answered: threading.Event = field(default_factory=threading.Event)
    _enough: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def asking(self, count: int) -> Iterator[None]:
        """From the first answer on, until the end of the block."""
        host = self.container.host
        threads = [threading.Thread(target=self._ask, args=(host,)) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            assert self._answered.wait(30)
            yield
        finally:
            self._enough.set()
            for thread in threads:
                thread.join()

    def _ask(self, host: str) -> None:
        while not self._enough.is_set():
            connection = http.client.HTTPConnection(host, self.container.port, timeout=30)
            try:
                connection.connect()
            except OSError:
                return  # refused, or the container is gone: nothing was accepted
            try:
                connection.request("POST", self.path, self.body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.ended[repr(error)] += 1
            else:
                self.ended[str(answer.status)] += 1
                self._answered.set()
            finally:
                connection.close()
