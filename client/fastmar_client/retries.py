"""When a request is sent again, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass

from fastmar_client.errors import ClientError, ServerUnreachable, Timeout

# "Not now", and what a server answers while a worker is started again: TorchServe sends 500 to the requests of a worker
# that died, 503 while it has none, 507 when it ran out of memory; proxies send 502 and 504.
REPEATED = frozenset((408, 425, 429, 500, 502, 503, 504, 507))

# A generator of its own: a caller who seeds `random` gets the same numbers with and without retries.
_JITTER = random.Random()  # noqa: S311 - spreads clients in time, guards nothing


@dataclass(frozen=True)
class Retries:
    """How often, and for what, a request is repeated.

    A prediction changes nothing on the server, so repeating it is safe. It is repeated after the connection was refused
    or broke, and after a status that may pass: 408, 425, 429, 500, 502, 503, 504, 507. The defaults wait long enough
    for a server whose only worker died and is started again. After a read time-out a request is not repeated: the
    server may still be working on it, and a second copy would slow it down further.

    Attributes:
        attempts: how often a request is sent at most, 1 for no repetition.
        connects: how often at most where there was no connection; fewer, so that a wrong address is reported soon.
        backoff: seconds before the second attempt; doubled for each further one, with a random part.
        longest: seconds that a pause lasts at most, whatever the server's Retry-After says.
        patience: seconds after the first failure within which a request is sent again.
        after_timeout: whether a request is repeated after a read time-out too.
        after_failure: whether it is repeated after a status that may pass.
    """

    attempts: int = 12
    connects: int = 4
    backoff: float = 0.1
    longest: float = 10.0
    patience: float = 60.0
    after_timeout: bool = False
    after_failure: bool = True

    def allows(self, error: ClientError, attempt: int) -> bool:
        """Whether a request that got no answer is sent again after the given attempt (from 1)."""
        if isinstance(error, ServerUnreachable):
            return attempt < min(self.attempts, self.connects)
        return self.after_timeout and isinstance(error, Timeout) and attempt < self.attempts

    def allows_status(self, status: int, attempt: int, retry_after: str | None) -> bool:
        """Whether a request that was answered with `status` is sent again after the given attempt.

        A server that says when to try again is taken at its word, whatever `after_failure` says.
        """
        return status in REPEATED and (self.after_failure or retry_after is not None) and attempt < self.attempts

    def pause(self, attempt: int, retry_after: str | None = None) -> float:
        """Seconds to wait after the given attempt (from 1) failed; `retry_after` is the server's, in seconds."""
        if retry_after is not None and retry_after.strip().isdecimal():
            return min(float(retry_after), self.longest)
        full = min(self.backoff * 2.0 ** (attempt - 1), self.longest)
        return full * _JITTER.uniform(0.5, 1.0)


NO_RETRIES = Retries(attempts=1)
