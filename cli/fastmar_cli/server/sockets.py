"""Another process's TCP sockets, seen and touched from outside: Linux only.

The launcher is Java's parent, so the kernel lets it take copies of Java's file descriptors (`pidfd_getfd`). A copy is
the same socket: what is done to it is done to Java's. Containers without the capability SYS_PTRACE, and other systems,
refuse; `SocketsRefused` says so.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SYS_PIDFD_GETFD = 438  # the same number on every architecture
SO_ATTACH_FILTER = 26
TCP_INFO_SIZE = 160  # up to and with tcpi_data_segs_out
ESTABLISHED, SYN_RECEIVED, CLOSE_WAIT, LISTENING = "01", "03", "08", "0A"


class SocketsRefused(Exception):
    """This system does not let the launcher touch the server's sockets."""


@dataclass(frozen=True)
class Traffic:
    """What the kernel knows about a connection's data.

    Attributes:
        received: bytes received from the peer so far.
        packets_sent: packets with data sent to the peer so far.
        since_received: milliseconds since data last came in (or since the handshake).
        since_sent: milliseconds since data last went out (or since the handshake).
        waiting: connections that a listening socket has not accepted yet.
    """

    received: int
    packets_sent: int
    since_received: int
    since_sent: int
    waiting: int


class ProcessSockets:
    """The sockets of one process that belong to one local TCP port."""

    def __init__(self, pid: int, port: int) -> None:
        if not hasattr(os, "pidfd_open"):
            raise SocketsRefused("this system has no pidfd_open")
        self._pid = pid
        self._port = port
        self._libc = ctypes.CDLL(None, use_errno=True)
        try:
            self._pidfd = os.pidfd_open(pid)
        except OSError as error:
            raise SocketsRefused(f"pidfd_open: {error.strerror}") from error

    def __enter__(self) -> ProcessSockets:
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._pidfd)

    def listener(self) -> socket.socket:
        """A copy of the listening socket."""
        descriptors = self._descriptors(LISTENING)
        if not descriptors:
            raise SocketsRefused(f"no listening socket of process {self._pid} on port {self._port} is visible")
        return self._copy(descriptors[0])

    def connections(self) -> list[socket.socket]:
        """Copies of the connections that the process holds; the caller closes them."""
        copies = []
        for descriptor in self._descriptors(ESTABLISHED, CLOSE_WAIT):
            with suppress(SocketsRefused):  # closed by its owner since it was listed
                copies.append(self._copy(descriptor))
        return copies

    def handshakes(self) -> int:
        """Connections to the port whose handshake is under way."""
        return len(_inodes(self._pid, self._port, SYN_RECEIVED))

    def _descriptors(self, *states: str) -> list[int]:
        wanted = {f"socket:[{inode}]" for inode in _inodes(self._pid, self._port, *states)}
        found = []
        for entry in _entries(Path(f"/proc/{self._pid}/fd")):
            with suppress(OSError):
                if str(entry.readlink()) in wanted:
                    found.append(int(entry.name))
        return found

    def _copy(self, descriptor: int) -> socket.socket:
        copy = self._libc.syscall(SYS_PIDFD_GETFD, self._pidfd, descriptor, 0)
        if copy < 0:
            raise SocketsRefused(f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
        return socket.socket(fileno=copy)


def connection_count(pid: int, port: int) -> int | None:
    """How many connections a local port has, None where the system has no table of them. Asks for no privilege."""
    return len(_inodes(pid, port, ESTABLISHED, CLOSE_WAIT)) if Path(f"/proc/{pid}/net/tcp").exists() else None


def traffic(connection: socket.socket) -> Traffic:
    """Ask the kernel about a connection (`struct tcp_info` in linux/tcp.h)."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_SIZE)
    (waiting,) = struct.unpack_from("=I", info, 24)
    (since_sent,) = struct.unpack_from("=I", info, 44)
    (since_received,) = struct.unpack_from("=I", info, 52)
    (received,) = struct.unpack_from("=Q", info, 128)
    (packets_sent,) = struct.unpack_from("=I", info, 156)
    return Traffic(received, packets_sent, since_received, since_sent, waiting)


def refuse_new_handshakes(listener: socket.socket) -> None:
    """Make a listening socket drop packets that open a connection, and no others.

    A classic BPF program, run on the TCP header: byte 13 holds the flags; SYN (2) without ACK (16) is dropped.
    """
    load_flags = struct.pack("=HBBI", 0x30, 0, 0, 13)
    keep_syn_and_ack = struct.pack("=HBBI", 0x54, 0, 0, 0x12)
    is_syn_alone = struct.pack("=HBBI", 0x15, 0, 1, 0x02)
    drop = struct.pack("=HBBI", 0x06, 0, 0, 0)
    take = struct.pack("=HBBI", 0x06, 0, 0, 0xFFFFFFFF)
    program = ctypes.create_string_buffer(load_flags + keep_syn_and_ack + is_syn_alone + drop + take)
    header = struct.pack("@HP", 5, ctypes.addressof(program))
    listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, header)


def _inodes(pid: int, port: int, *states: str) -> list[str]:
    """Inodes of the sockets on a local port, out of the kernel's table: columns 1 (local), 3 (state), 9 (inode)."""
    inodes = []
    for table in ("tcp", "tcp6"):
        with suppress(OSError), Path(f"/proc/{pid}/net/{table}").open(encoding="ascii") as lines:
            next(lines, None)
            for line in lines:
                columns = line.split()
                if columns[3] in states and int(columns[1].rpartition(":")[2], 16) == port:
                    inodes.append(columns[9])
    return inodes


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise SocketsRefused(f"{folder}: {error.strerror}") from error
