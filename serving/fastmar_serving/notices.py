"""What an operator should know of a rollout that went on. `fastmar` shows notices on standard error."""

from __future__ import annotations

import logging

log = logging.getLogger("fastmar_serving.rollout")


def notice(message: str) -> None:
    """Log a warning."""
    log.warning("%s", message)
