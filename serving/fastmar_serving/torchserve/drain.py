"""Stopping without losing a request: every request that was accepted is answered before the server goes.

1. The port refuses new connections; handshakes under way are finished and accepted.
2. The front closes each connection behind the response that it gives.
3. The front counts the connections on which something is under way: a request, a response that the peer has not
   confirmed, or data that came within the last second. When there are none the server may end. Idle connections are
   closed with it.
"""

from __future__ import annotations

import logging
import socket
import threading
import time

from fastmar_serving.torchserve.control import Control
from fastmar_serving.torchserve.sockets import refuse_new_connections

log = logging.getLogger(__name__)

POLL = 0.02  # seconds between two questions
HANDSHAKES_WITHIN = 0.5  # seconds that a handshake under way is given: a slow peer's round trip


def drain(control: Control, listener: socket.socket | None, *, timeout: float, hurry: threading.Event) -> None:
    """Let the server answer what it accepted, refuse what is new; returns when done, out of time, or hurried.

    `listener` is the launcher's copy of the inference API's socket; None where Java has its own, and closes it.
    """
    began = time.monotonic()
    if listener is not None:
        refuse_new_connections(listener)
    try:
        state = control.tell(draining=True)
        while state.owed or time.monotonic() - began < HANDSHAKES_WITHIN:
            if time.monotonic() - began > timeout or hurry.wait(POLL):
                break
            state = control.tell()
    except OSError as error:
        log.warning("the drain was cut short: %s", error)
        return
    if state.owed:
        log.warning("connections still waiting when the drain ended: %d", state.owed)
