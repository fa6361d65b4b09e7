"""Check requests: `fastmar deploy` sends them to a version, and monitoring does not count them as traffic.

They have a header with the token of the server's run directory, which its own user can read. So a caller can't hide
requests from the request log and the profiles.
"""

from __future__ import annotations

import hmac

HEADER = "x-fastmar-check"

VARIABLE = "FASTMAR_CHECK_VALUE"  # config.properties keeps names with TOKEN or KEY from workers
"""Environment variable of TorchServe's workers: the token of the server."""


def is_check(token: str | None, header: str | None) -> bool:
    """Whether a request with this value of the header is a check. `token` is None if the server has none."""
    if not token or header is None:
        return False
    return hmac.compare_digest(token.encode(), header.encode("utf-8", "replace"))
