"""Versions of Pillow and of its JPEG library, which affect the pixels of decoded pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import __version__, features

PILLOW, LIBJPEG = "pillow", "libjpeg"
_MAX_LENGTH = 40


def pillow_versions() -> dict[str, str | None]:
    """The installed versions, as they are recorded in an archive's provenance."""
    turbo = features.version_feature("libjpeg_turbo")
    return {PILLOW: __version__, LIBJPEG: f"turbo {turbo}" if turbo else features.version_codec("jpg")}


def describe_other_versions(provenance: Mapping[str, Any] | None) -> str | None:
    """A message if the recorded versions differ from the installed ones; None if they are equal or not recorded."""
    recorded = {name: (provenance or {}).get(name) for name in (PILLOW, LIBJPEG)}
    installed = pillow_versions()
    if recorded[PILLOW] is None or recorded == installed:
        return None
    return (
        f"The archive was exported with {_describe(recorded)}; installed is {_describe(installed)}. Other versions may "
        "decode or resize pictures to other pixels."
    )


def _describe(versions: Mapping[str, Any]) -> str:
    return f"Pillow {versions[PILLOW]!s:.{_MAX_LENGTH}} (libjpeg {versions[LIBJPEG]!s:.{_MAX_LENGTH}})"
