"""Sockets of the inference API: the launcher listens, Java or the workers accept.

The launcher thus detects at once that a port is taken. At the end it can refuse new connections without losing accepted
ones, because its descriptor and that of the other process refer to the same socket.
"""

from __future__ import annotations

import logging
import socket
from urllib.parse import urlsplit

from fastmar_serving.ports import INFERENCE, listen_error

log = logging.getLogger(__name__)

BACKLOG = 1024
SO_BINDTOIFINDEX = 62
NO_INTERFACE = 0x7FFFFFFF


def listen(address: str) -> socket.socket:
    """Listen at `http://host:port`.

    Raises:
        ServeError: see `listen_error`.
    """
    parts = urlsplit(address)
    host, port = parts.hostname or "127.0.0.1", parts.port or 0
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)  # for Java, which accepts from an event loop
    except OSError as error:
        listener.close()
        raise listen_error({INFERENCE: (host, port, error)}) from error
    return listener


def refuse_new_connections(listener: socket.socket) -> None:
    """Refuse new connections, but complete TCP handshakes that are in progress.

    The listening socket is bound to an interface that does not exist, so it gets no new packets, and the kernel refuses
    connections. A handshake in progress has a separate socket in the kernel, which is not affected. Linux allows this
    without privileges since 5.7. Otherwise the socket is shut down, which may reset a connection in progress.
    """
    try:
        listener.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NO_INTERFACE)
    except OSError as error:
        log.warning("connections that are opened while the port closes may be reset: %s", error)
        listener.shutdown(socket.SHUT_RDWR)
