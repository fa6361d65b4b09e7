"""TCP sockets of another process, seen and closed to newcomers without any privilege: Linux.

Java hands its listening sockets over as it starts (`patches.py`), so the launcher holds a copy of each: what it does to
a copy is done to Java's. Connections it asks the kernel about, as `ss` does, by a netlink socket.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

HAS_HANDOVER = hasattr(socket, "recv_fds")  # not on Windows
LISTENERS = 8  # that may wait to be taken; TorchServe has three
SO_BINDTOIFINDEX = 62
NO_INTERFACE = 0x7FFFFFFF

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h; Python has few of these names, and some on Linux only.
AF_NETLINK, NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, REQUEST_DUMP, ERROR, DONE = 16, 4, 20, 0x301, 2, 3
INET_DIAG_INFO, MESSAGE_SIZE, TCP_INFO_SIZE = 2, 72, 160  # struct tcp_info up to and with tcpi_data_segs_out
ESTABLISHED, SYN_RECEIVED, FIN_WAIT1, CLOSE_WAIT, LAST_ACK, CLOSING = 1, 3, 4, 8, 9, 11
STATES = (ESTABLISHED, SYN_RECEIVED, FIN_WAIT1, CLOSE_WAIT, LAST_ACK, CLOSING)  # in which data may be under way


@dataclass(frozen=True)
class Connection:
    """What the kernel knows about a connection and its data.

    Attributes:
        state: one of `STATES`.
        queued: bytes that the server has not read, or the peer has not confirmed.
        received: bytes received from the peer so far.
        packets_sent: packets with data sent to the peer so far.
        since_received: milliseconds since data last came in (or since the handshake).
        since_sent: milliseconds since data last went out (or since the handshake).
    """

    state: int
    queued: int
    received: int
    packets_sent: int
    since_received: int
    since_sent: int


class Handover:
    """A Unix socket at which Java leaves its listening sockets; they wait there until somebody asks."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inbox = socket.socket(socket.AF_UNIX) if HAS_HANDOVER else None

    def __enter__(self) -> Handover:
        if self._inbox is not None:
            self._inbox.bind(str(self._path))
            self._inbox.listen(LISTENERS)
            self._inbox.setblocking(False)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._inbox is not None:
            self._inbox.close()
            self._path.unlink(missing_ok=True)

    def listener(self, port: int) -> socket.socket | None:
        """The one that listens on a TCP port; the caller closes it. None where none was left."""
        for listener in self._take():
            address = listener.getsockname()
            if isinstance(address, tuple) and address[1] == port:
                return listener
            listener.close()
        return None

    def _take(self) -> Iterator[socket.socket]:
        with suppress(BlockingIOError):  # no more of them
            while self._inbox is not None:
                giver, _ = self._inbox.accept()
                with giver:
                    _, descriptors, _, _ = socket.recv_fds(giver, 1, 1)
                for descriptor in descriptors:
                    yield socket.socket(fileno=descriptor)


def refuse_new_connections(listener: socket.socket) -> None:
    """Make the kernel refuse whoever knocks from now on; handshakes under way end as ever, and are accepted.

    The listening socket is bound to an interface that does not exist. So no new packet is for it, and the peer is told
    that nobody listens. A handshake under way has a socket of its own in the kernel, and its connection inherits
    nothing of this. Without privileges since Linux 5.7; OSError before.
    """
    listener.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NO_INTERFACE)


def connections(family: int, port: int) -> list[Connection]:
    """Connections to a local port that data may still pass on.

    Raises OSError where the system has no such table, or keeps it to itself.
    """
    states = sum(1 << state for state in STATES)
    body = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0, states)
    body += struct.pack(">H46x", port)  # of any address, with any peer
    with socket.socket(AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as netlink:
        netlink.send(struct.pack("=IHHII", 16 + len(body), SOCK_DIAG_BY_FAMILY, REQUEST_DUMP, 0, 0) + body)
        return [_connection(message) for message in _messages(netlink)]


def _messages(netlink: socket.socket) -> Iterator[bytes]:
    """Bodies of the messages of one answer."""
    while True:
        data = netlink.recv(1 << 16)
        while data:
            size, kind = struct.unpack_from("=IH", data)
            body, data = data[16:size], data[_aligned(size) :]
            if kind == DONE:
                return
            if kind == ERROR:
                raise OSError(-struct.unpack_from("=i", body)[0], "sock_diag")
            yield body


def _connection(message: bytes) -> Connection:
    """`struct inet_diag_msg` and behind it attributes, one of them `struct tcp_info`; a handshake has none."""
    unread, unconfirmed = struct.unpack_from("=II", message, 56)
    info, at = b"", MESSAGE_SIZE
    while at < len(message):
        size, kind = struct.unpack_from("=HH", message, at)
        if kind == INET_DIAG_INFO:
            info = message[at + 4 : at + size]
        at += _aligned(size)
    info = info.ljust(TCP_INFO_SIZE, b"\0")
    (since_sent,) = struct.unpack_from("=I", info, 44)
    (since_received,) = struct.unpack_from("=I", info, 52)
    (received,) = struct.unpack_from("=Q", info, 128)
    (packets_sent,) = struct.unpack_from("=I", info, 156)
    return Connection(message[1], unread + unconfirmed, received, packets_sent, since_received, since_sent)


def _aligned(size: int) -> int:
    return (size + 3) & ~3
