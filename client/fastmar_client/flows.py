"""Flows: the logic of calls without I/O, shared by `Client` and `AsyncClient`, like the auth flows of httpx.

A flow is a generator of actions: `Send` a request, or `Pause`. After a `Send` it is resumed with the `Reply`, or with
the `ClientError` that the transport raised. Its return value is the result of the call.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from fastmar_client.errors import ClientError
from fastmar_client.transport import Reply, Transport

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Send:
    """A request to send once; the flow is resumed with the `Reply`."""

    method: str
    path: str
    body: bytes | None
    headers: Mapping[str, str]
    timeout: tuple[float, float]  # seconds to connect, and to read


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds to wait."""

    seconds: float


Flow = Generator[Send | Pause, Any, Result]


def run(flow: Flow[Result], transport: Transport) -> Result:
    """Run a flow in this thread."""

    def perform(action: Send | Pause) -> Reply | None:
        if isinstance(action, Pause):
            time.sleep(action.seconds)
            return None
        return transport.send(action.method, action.path, action.body, action.headers, action.timeout)

    try:
        action = next(flow)
        while True:
            try:
                reply = perform(action)
            except ClientError as error:
                action = flow.throw(error)
            else:
                action = flow.send(reply)
    except StopIteration as finished:
        result: Result = finished.value
        return result


def run_without_io(flow: Flow[Result]) -> Result:
    """Run a flow that yields nothing."""
    try:
        action = next(flow)
    except StopIteration as finished:
        result: Result = finished.value
        return result
    raise RuntimeError(f"a flow without a transport yielded {action}")
