"""What an operator should know of a rollout that went on. `fastmar` shows notices on standard error."""

from __future__ import annotations

import logging

LOGGER = "fastmar_serving.rollout"

log = logging.getLogger(LOGGER)


def notice(message: str) -> None:
    """Log a warning."""
    log.warning("%s", message)
