"""The load generator: a process with keep-alive connections, each with one request at a time.

    python -m benchmarks.load URL REQUESTS.json --connections 32 --seconds 8
    python -m benchmarks.load URL PICTURES.json --content-type image/jpeg

It uses plain sockets and prepared request bytes, since it shares the processors with the server. Every response must
have status 200 and a complete body; every `SAMPLE`-th body is returned for the comparison of answers. Prints one JSON
object.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import re
import selectors
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SAMPLE = 101  # a prime number, so that all records are sampled over time
JSON_TYPE = "application/json"
STALL_TIMEOUT = 60.0  # seconds without any response
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


class LoadFailed(RuntimeError):
    """A response is invalid or missing, so the run is invalid."""


@dataclass(frozen=True, slots=True)
class Load:
    """The result of one run.

    Attributes:
        connections, seconds: the settings of the run.
        requests: number of requests answered within that time.
        rate: requests per second.
        p50, p99, longest: latencies in milliseconds.
        client_cpu: microseconds of CPU time of the load generator per request.
        reconnects: number of connections that the server closed after a response.
        samples: pairs of the position of a request and the body of its answer.
    """

    connections: int
    seconds: float
    requests: int
    rate: float
    p50: float
    p99: float
    longest: float
    client_cpu: float
    reconnects: int
    samples: list[tuple[int, str]]


class Connection:
    """A socket with at most one pending request."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.position = -1  # of the pending request
        self.sent_at = 0.0
        self.received = b""
        self.missing = -1  # missing bytes of the response; negative while its head is incomplete
        self.body = 0  # offset of the body
        self.closes = False
        self.connect()

    def connect(self) -> None:
        """Open a connection."""
        self.socket = socket.create_connection(self.address, timeout=STALL_TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, position: int, request: bytes) -> None:
        """Send a request."""
        self.position, self.received, self.missing = position, b"", -1
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Receive a chunk; returns True when the response is complete."""
        chunk = self.socket.recv(65536)
        if not chunk:
            raise LoadFailed("the server closed a connection within a response")
        if self.missing >= 0:
            self.received += chunk
            self.missing -= len(chunk)
        else:
            self.received += chunk
            end = self.received.find(b"\r\n\r\n")
            if end < 0:
                return False
            self._read_head(self.received[: end + 2])
            self.body = end + 4
            self.missing += self.body - len(self.received)
        if self.missing < 0:
            raise LoadFailed("the response is longer than its Content-Length")
        return self.missing == 0

    def _read_head(self, head: bytes) -> None:
        length = _LENGTH.search(head)
        if head[9:12] != b"200" or length is None:
            raise LoadFailed(f"expected status 200 and a Content-Length, got {self.received[:1000]!r}")
        self.missing = int(length[1])
        self.closes = head.startswith(b"HTTP/1.0") or _CLOSE.search(head) is not None


class Round:
    """Sends requests in turn over all connections, one at a time on each, until a deadline."""

    def __init__(self, address: tuple[str, int], requests: list[bytes], connections: int) -> None:
        self.requests = requests
        self.sent = 0
        self.waiting = connections
        self.deadline = math.inf
        self.latencies: list[float] = []
        self.samples: list[tuple[int, str]] = []
        self.reconnects = 0
        self.selector = selectors.DefaultSelector()
        for _ in range(connections):
            self._register(Connection(address))

    def run(self, seconds: float) -> None:
        """Send requests for this time; requests pending at the end are awaited, but not counted."""
        self.deadline = time.perf_counter() + seconds
        for key in self.selector.get_map().values():
            self._send(key.data)
        while self.waiting:
            events = self.selector.select(STALL_TIMEOUT)
            if not events:
                raise LoadFailed(f"no answer for {STALL_TIMEOUT:g} s")
            for key, _ in events:
                if key.data.receive():
                    self._answered(key.data, time.perf_counter())

    def close(self) -> None:
        """Close the connections."""
        for key in list(self.selector.get_map().values()):
            key.data.socket.close()
        self.selector.close()

    def _register(self, connection: Connection) -> None:
        self.selector.register(connection.socket, selectors.EVENT_READ, connection)

    def _close(self, connection: Connection) -> None:
        self.selector.unregister(connection.socket)
        connection.socket.close()

    def _send(self, connection: Connection) -> None:
        connection.send(self.sent, self.requests[self.sent % len(self.requests)])
        self.sent += 1

    def _answered(self, connection: Connection, now: float) -> None:
        if now >= self.deadline:
            self.waiting -= 1
            self._close(connection)
            return
        self.latencies.append(now - connection.sent_at)
        if len(self.latencies) % SAMPLE == 1:
            body = connection.received[connection.body :].decode()
            self.samples.append((connection.position % len(self.requests), body))
        if connection.closes:
            self.reconnects += 1
            self._close(connection)
            connection.connect()
            self._register(connection)
        self._send(connection)


def run(
    url: str,
    bodies: Sequence[str | bytes],
    connections: int,
    seconds: float,
    content_type: str = JSON_TYPE,
    key: str | None = None,
) -> Load:
    """Send the bodies in turn for `seconds`.

    Raises:
        LoadFailed: a response is invalid, or there is none.
    """
    parts = urlsplit(url)
    requests = [request_bytes(parts.netloc, parts.path, body, content_type, key) for body in bodies]
    this = Round((parts.hostname or "", parts.port or 80), requests, connections)
    cpu = time.process_time()
    try:
        this.run(seconds)
    finally:
        this.close()
    cpu = time.process_time() - cpu
    latencies = sorted(this.latencies)
    if not latencies:
        raise LoadFailed(f"no response within {seconds:g} s")
    return Load(
        connections=connections,
        seconds=seconds,
        requests=len(latencies),
        rate=len(latencies) / seconds,
        p50=1000 * percentile(latencies, 50),
        p99=1000 * percentile(latencies, 99),
        longest=1000 * latencies[-1],
        client_cpu=1e6 * cpu / this.sent,
        reconnects=this.reconnects,
        samples=this.samples,
    )


def read_bodies(requests: Path, content_type: str) -> list[bytes]:
    """Bodies of requests from a JSON list: of records, or of names of files if the content type is not JSON."""
    listed = json.loads(requests.read_text("utf-8"))
    if content_type == JSON_TYPE:
        return [json.dumps(record).encode() for record in listed]
    return [Path(name).read_bytes() for name in listed]


def request_bytes(
    host: str, path: str, body: str | bytes, content_type: str = JSON_TYPE, key: str | None = None
) -> bytes:
    """A POST request."""
    data = body.encode() if isinstance(body, str) else body
    head = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(data)}",
        *([f"Authorization: Bearer {key}"] if key else []),
    ]
    return "\r\n".join([*head, "", ""]).encode("ascii") + data


def percentile(ordered: list[float], percent: float) -> float:
    """The percentile by the nearest-rank method."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def main(argv: list[str] | None = None) -> int:
    """Run once."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("requests", type=Path, help="JSON list of records, or of files if the content type is not JSON")
    parser.add_argument("--content-type", default=JSON_TYPE)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--key", help="of the inference API")
    args = parser.parse_args(argv)
    bodies = read_bodies(args.requests, args.content_type)
    gc.disable()  # there are no reference cycles
    try:
        result: dict[str, Any] = asdict(
            run(args.url, bodies, args.connections, args.seconds, args.content_type, args.key)
        )
    except (LoadFailed, OSError) as error:
        print(f"{args.url}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
