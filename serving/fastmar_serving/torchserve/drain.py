"""The drain: answer every accepted request before the server stops.

The front is the Java code that receives each request before TorchServe does (`front/`).

1. The port refuses new connections. TCP handshakes in progress are completed and accepted.
2. The front closes each connection after its next response.
3. The front counts busy connections: those with a request, a response that the peer has not acknowledged, or data from
   the last second. When there are none, the server stops, which closes idle connections.
"""

from __future__ import annotations

import logging
import socket
import threading
import time

from fastmar_serving.sockets import refuse_new_connections
from fastmar_serving.torchserve.control import Control

log = logging.getLogger(__name__)

POLL = 0.02  # seconds between two polls of the front
HANDSHAKE_TIMEOUT = 0.5  # seconds for TCP handshakes in progress: the round trip of a slow peer


def drain(control: Control, listener: socket.socket | None, *, timeout: float, hurry: threading.Event) -> None:
    """Refuse new requests and wait for the accepted ones, until `timeout` is over or `hurry` is set.

    `listener` is the launcher's copy of the inference API's socket; None if Java opened the port itself.
    """
    began = time.monotonic()
    if listener is not None:
        refuse_new_connections(listener)
    try:
        state = control.send(draining=True)
        while state.busy_connections or time.monotonic() - began < HANDSHAKE_TIMEOUT:
            if time.monotonic() - began > timeout or hurry.wait(POLL):
                break
            state = control.send()
    except OSError as error:
        log.warning("the drain ended early: %s", error)
        return
    if state.busy_connections:
        log.warning("connections still busy at the end of the drain: %d", state.busy_connections)
