"""When a request is sent again, and after how long."""

from __future__ import annotations

import random
from dataclasses import dataclass

from fastmar_client.errors import ClientError, ServerUnreachable, Timeout


@dataclass(frozen=True)
class Retries:
    """How often, and for what, a request is repeated.

    A prediction changes nothing on the server, so it may be repeated after a connection was refused or broke. After a
    read time-out it is not: the server may still be working on it, and a second copy would slow it down further.

    Attributes:
        attempts: how often a request is sent at most, 1 for no repetition.
        backoff: seconds before the second attempt; doubled for each further one, with a random part.
        longest: seconds that a pause lasts at most, whatever the server's Retry-After says.
        after_timeout: whether a request is repeated after a read time-out too.
        after_failure: whether it is repeated after a status of 500 and more, or one that says "not now" (408, 425,
            429), too: a worker that died comes back.
    """

    attempts: int = 4
    backoff: float = 0.1
    longest: float = 10.0
    after_timeout: bool = False
    after_failure: bool = False

    def repeats_unanswered(self, error: ClientError) -> bool:
        """Whether a request that was not answered is sent again."""
        return isinstance(error, ServerUnreachable) or (self.after_timeout and isinstance(error, Timeout))

    def pause(self, attempt: int, asked: str | None = None) -> float:
        """Seconds to wait after the given attempt (from 1) failed; `asked` is the server's Retry-After in seconds."""
        if asked is not None and asked.strip().isdecimal():
            return min(float(asked), self.longest)
        full = min(self.backoff * 2.0 ** (attempt - 1), self.longest)
        return full * random.uniform(0.5, 1.0)  # noqa: S311 - spreads clients in time, guards nothing


NO_RETRIES = Retries(attempts=1)
