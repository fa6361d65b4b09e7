"""The load generator, with a server of known answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from benchmarks.load import LoadFailed, percentile, request_bytes, run

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
HEAD_CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"


@contextmanager
def echo_server(head: bytes, chunks: int = 1) -> Iterator[str]:
    """Run a server that echoes bodies in a number of chunks; yields its URL."""

    def talk(connection: socket.socket) -> None:
        with connection:
            while request := connection.recv(65536):
                body = request.partition(b"\r\n\r\n")[2]
                answer = (head % len(body) if b"%d" in head else head) + body
                size = -(-len(answer) // chunks)
                for start in range(0, len(answer), size):
                    connection.sendall(answer[start : start + size])
                if b"close" in head:
                    return

    def accept() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/x"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


RECORDS = [json.dumps({"record": i}) for i in range(7)]


@pytest.mark.parametrize("chunks", [1, 3, 20])
def test_counts_answers_and_pairs_samples_with_their_requests(chunks: int) -> None:
    with echo_server(HEAD, chunks) as url:
        load = run(url, RECORDS, connections=3, seconds=0.3)
    assert load.requests > 0
    assert load.rate == pytest.approx(load.requests / 0.3)
    assert load.p50 <= load.p99 <= load.longest
    assert load.reconnects == 0
    assert load.samples
    assert all(body == RECORDS[position] for position, body in load.samples)


def test_reconnects_if_the_server_closes_the_connection() -> None:
    with echo_server(HEAD_CLOSING) as url:
        load = run(url, RECORDS, connections=2, seconds=0.2)
    assert load.reconnects >= load.requests > 0


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: %d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n",
    ],
)
def test_refuses_an_invalid_response(head: bytes) -> None:
    with echo_server(head) as url, pytest.raises(LoadFailed):
        run(url, RECORDS, connections=1, seconds=0.2)


def test_content_length_counts_bytes() -> None:
    head, _, body = request_bytes("localhost:1", "/x", '{"a": "é"}').partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head


def test_percentile_uses_the_nearest_rank() -> None:
    assert percentile([1.0], 99) == 1.0
    assert percentile([1.0, 2.0], 50) == 1.0
    assert percentile([float(i) for i in range(1, 101)], 99) == 99.0
