from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.server.conftest import hand_over

from fastmar_cli.server.sockets import (
    ESTABLISHED,
    FIN_WAIT1,
    SYN_RECEIVED,
    Connection,
    Handover,
    connections,
    refuse_new_connections,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux' sockets")

FAMILIES = [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]


def seen_when(port: int, condition: Callable[[list[Connection]], bool], family: int = socket.AF_INET) -> Connection:
    """The one connection to a port, once a condition holds: packets take a moment."""
    deadline = time.monotonic() + 60
    while not condition(seen := connections(family, port)):
        assert time.monotonic() < deadline, seen
        time.sleep(0.01)
    (one,) = seen
    return one


def test_a_listener_that_was_left_is_found_by_its_port(tmp_path: Path) -> None:
    with (
        Handover(tmp_path / "handover") as handover,
        socket.create_server(("127.0.0.1", 0)) as other,
        socket.create_server(("127.0.0.1", 0)) as wanted,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        port = wanted.getsockname()[1]
        assert handover.listener(port) is None
        unix.bind(str(tmp_path / "management"))
        for each in (unix, other, wanted):
            hand_over(tmp_path / "handover", each)
        found = handover.listener(port)
        assert found is not None
        with found, socket.create_connection(("127.0.0.1", port)):
            wanted.accept()[0].close()
            assert found.getsockname() == wanted.getsockname()
    assert not (tmp_path / "handover").exists()


@pytest.mark.parametrize(("host", "family"), FAMILIES)
def test_a_port_that_refuses_newcomers_keeps_whom_it_has(host: str, family: int) -> None:
    """Established, waiting to be accepted, and in the midst of a handshake, which a deferred accept prolongs."""
    try:
        listener = socket.create_server((host, 0), family=family)
    except OSError as error:
        pytest.skip(f"no {host} here: {error}")
    with listener:
        address = listener.getsockname()[:2]
        with socket.create_connection(address) as known, listener.accept()[0] as served:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 9)
            with socket.create_connection(address) as waiting, socket.create_connection(address) as shaking:
                waiting.sendall(b"waiting")
                time.sleep(0.05)  # an accept queue has no sign of its own
                assert sorted(each.state for each in connections(family, address[1]))[-1] == SYN_RECEIVED
                refuse_new_connections(listener)
                with pytest.raises(ConnectionRefusedError):
                    socket.create_connection(address)
                shaking.sendall(b"shaking")
                for _ in range(2):
                    with listener.accept()[0] as late:
                        late.sendall(late.recv(9).upper())
                assert waiting.recv(9) == b"WAITING"
                assert shaking.recv(9) == b"SHAKING"
            known.sendall(b"known")
            assert served.recv(9) == b"known"
        with pytest.raises(OSError, match="in use"), socket.create_server(address, family=family):
            pass


@pytest.mark.parametrize(("host", "family"), FAMILIES)
def test_the_kernel_tells_of_a_connection_what_the_drain_asks(host: str, family: int) -> None:
    try:
        listener = socket.create_server((host, 0), family=family)
    except OSError as error:
        pytest.skip(f"no {host} here: {error}")
    with listener:
        port = listener.getsockname()[1]
        assert connections(family, port) == []
        with socket.create_connection((host, port)) as client, listener.accept()[0] as served:
            fresh = seen_when(port, bool, family)
            assert (fresh.state, fresh.queued, fresh.received, fresh.packets_sent) == (ESTABLISHED, 0, 0, 0)
            client.sendall(b"hello")
            assert seen_when(port, lambda seen: seen[0].queued == 5, family).received == 5  # not read yet
            assert served.recv(9) == b"hello"
            assert seen_when(port, lambda seen: seen[0].queued == 0, family).received == 5
            time.sleep(0.3)
            asked = seen_when(port, bool, family)
            assert asked.since_received >= 280
            served.sendall(b"world")
            answered = seen_when(port, lambda seen: seen[0].packets_sent == 1 and not seen[0].queued, family)
            assert answered.since_sent < answered.since_received


def test_what_a_peer_has_not_taken_yet_is_seen_behind_the_close() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(listener.getsockname())
        served = listener.accept()[0]
        served.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        served.sendall(bytes(100_000))
        served.close()
        sending = seen_when(listener.getsockname()[1], bool)
        assert sending.state == FIN_WAIT1
        assert sending.queued > 50_000


def test_hundreds_of_connections_come_in_several_answers() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        clients = [socket.create_connection(listener.getsockname()) for _ in range(300)]
        served = [listener.accept()[0] for _ in clients]
        assert len(connections(socket.AF_INET, listener.getsockname()[1])) == 300
        for each in clients + served:
            each.close()
