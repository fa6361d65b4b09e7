"""The socket of the inference API: the launcher listens, Java accepts.

So a port that is taken is known at once, and at the end the port can be closed to new connections without losing one
that was made: what the launcher does to its copy of the socket is done to Java's.
"""

from __future__ import annotations

import logging
import socket
from urllib.parse import urlsplit

from fastmar_serving.torchserve.errors import PortTaken

log = logging.getLogger(__name__)

BACKLOG = 1024
SO_BINDTOIFINDEX = 62
NO_INTERFACE = 0x7FFFFFFF


def listen(address: str) -> socket.socket:
    """Listen at `http://host:port`.

    Raises:
        PortTaken: another process does.
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
        raise PortTaken(
            f"can't listen on {host}:{port}: {error.strerror or error}.",
            fix="stop what listens there, or give another --port (0 picks a free one).",
        ) from error
    return listener


def refuse_new_connections(listener: socket.socket) -> None:
    """Refuse connections from now on; those whose handshake is under way are finished and accepted.

    The listening socket is bound to an interface that does not exist. So no new packet is for it, and the peer is told
    that nobody listens. A handshake under way has a socket of its own in the kernel, and its connection inherits
    nothing of this. Without privileges since Linux 5.7. Where that is not possible the socket is shut down, which may
    reset a connection that is made at that moment.
    """
    try:
        listener.setsockopt(socket.SOL_SOCKET, SO_BINDTOIFINDEX, NO_INTERFACE)
    except OSError as error:
        log.warning("a connection that is made as the port closes may be reset: %s", error)
        listener.shutdown(socket.SHUT_RDWR)
