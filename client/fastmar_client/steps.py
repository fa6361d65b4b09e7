"""Calls to a server without their input and output: `Client` and `AsyncClient` run the same ones.

A call is a generator. It yields each request that is to be sent and each pause, and is resumed with the server's reply,
or with the `ClientError` that was raised instead. What it returns is the call's result.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from fastmar_client.errors import ClientError
from fastmar_client.sender import Reply, Sender

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Send:
    """A request to be sent once; the call is resumed with the `Reply`."""

    method: str
    path: str
    body: bytes | None
    headers: Mapping[str, str]
    timeout: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Pause:
    """Seconds to wait."""

    seconds: float


Steps = Generator[Send | Pause, Any, Result]


def run(steps: Steps[Result], sender: Sender) -> Result:
    """Run a call in this thread."""

    def do(step: Send | Pause) -> Reply | None:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        return sender.send(step.method, step.path, step.body, step.headers, step.timeout)

    try:
        step = next(steps)
        while True:
            try:
                outcome = do(step)
            except ClientError as error:
                step = steps.throw(error)
            else:
                step = steps.send(outcome)
    except StopIteration as finished:
        result: Result = finished.value
        return result


def result_of(steps: Steps[Result]) -> Result:
    """The result of a call that sends nothing."""
    try:
        step = next(steps)
    except StopIteration as finished:
        result: Result = finished.value
        return result
    raise RuntimeError(f"a call without a server asks for {step}")
