"""Warnings for the operator of a rollout, which `fastmar` prints on standard error."""

from __future__ import annotations

import logging

log = logging.getLogger("fastmar_serving.rollout")


def notice(message: str) -> None:
    """Log a warning."""
    log.warning("%s", message)
