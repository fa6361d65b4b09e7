"""The retry policy of requests."""

from __future__ import annotations

import random
from dataclasses import dataclass

from fastmar_client.errors import ClientError, ServerUnreachable, Timeout

# Temporary failures. TorchServe sends 500 for the requests of a worker that died, 503 while a model has no worker and
# 507 if a worker is out of memory; proxies send 502 and 504.
RETRIED = frozenset((408, 425, 429, 500, 502, 503, 504, 507))

# Not the global generator: a caller who seeds `random` gets the same numbers with and without retries.
_JITTER = random.Random()  # noqa: S311 - jitter


@dataclass(frozen=True)
class Retries:
    """How often, and after which failures, a request is retried.

    A prediction changes nothing on the server, so a retry is safe. A request is retried if the connection is refused or
    breaks, and after the statuses of temporary failures: 408, 425, 429, 500, 502, 503, 504, 507. The defaults cover the
    restart of a server, or of its only worker. A request is not retried after a read timeout: the server may still be
    computing its answer, and a second copy would add to the load.

    Attributes:
        attempts: maximum number of attempts; 1 disables retries.
        connects: maximum number of attempts without a connection, until the server has answered a request of this
            client; lower, so that a wrong address is reported soon.
        backoff: seconds before the second attempt; doubled for each further one, with jitter.
        longest: maximum seconds of a pause, also if the server's Retry-After is longer.
        patience: seconds after the first failure within which a request is retried.
        after_timeout: whether a request is retried after a read timeout.
        after_failure: whether a request is retried after the status of a temporary failure.
    """

    attempts: int = 12
    connects: int = 4
    backoff: float = 0.1
    longest: float = 10.0
    patience: float = 60.0
    after_timeout: bool = False
    after_failure: bool = True

    def allows(self, error: ClientError, attempt: int, *, reached: bool = False) -> bool:
        """Whether to retry a request without a response, after the given attempt (from 1).

        `reached` is whether the server has answered an earlier request: its address is right, and it may be restarting.
        """
        if isinstance(error, ServerUnreachable):
            return attempt < (self.attempts if reached else min(self.attempts, self.connects))
        return self.after_timeout and isinstance(error, Timeout) and attempt < self.attempts

    def allows_status(self, status: int, attempt: int, retry_after: str | None) -> bool:
        """Whether to retry a request whose response has the given status, after the given attempt (from 1).

        A response with Retry-After is retried even if `after_failure` is False.
        """
        return status in RETRIED and (self.after_failure or retry_after is not None) and attempt < self.attempts

    def pause(self, attempt: int, retry_after: str | None = None) -> float:
        """Seconds to wait after the given attempt (from 1); `retry_after` is the response's header."""
        if retry_after is not None and retry_after.strip().isdecimal():
            return min(float(retry_after), self.longest)
        longest = min(self.backoff * 2.0 ** (attempt - 1), self.longest)
        return longest * _JITTER.uniform(0.5, 1.0)


NO_RETRIES = Retries(attempts=1)
