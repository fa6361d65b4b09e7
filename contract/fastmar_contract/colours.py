"""Colours in texts: the export checks the accent of `ui.yaml`, and the web app shows it."""

from __future__ import annotations

import re

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


def is_colour(text: str) -> bool:
    """Whether a text is a colour such as ``#0b6e80``."""
    return _COLOUR.fullmatch(text) is not None
