"""Versions of Pillow and of its JPEG library, on which the pixels of a picture depend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import __version__, features

PILLOW, LIBJPEG = "pillow", "libjpeg"
_MAX_LETTERS = 40


def pillow_versions() -> dict[str, str | None]:
    """The versions here, as an archive records them in its provenance."""
    turbo = features.version_feature("libjpeg_turbo")
    return {PILLOW: __version__, LIBJPEG: f"turbo {turbo}" if turbo else features.version_codec("jpg")}


def other_versions(provenance: Mapping[str, Any] | None) -> str | None:
    """A sentence that names the recorded versions and those here; None where they are equal or none were recorded."""
    recorded = {name: (provenance or {}).get(name) for name in (PILLOW, LIBJPEG)}
    here = pillow_versions()
    if recorded[PILLOW] is None or recorded == here:
        return None
    return (
        f"The archive was exported with {_described(recorded)}; here is {_described(here)}: other versions may decode "
        "or resize a picture to other pixels."
    )


def _described(versions: Mapping[str, Any]) -> str:
    return f"Pillow {versions[PILLOW]!s:.{_MAX_LETTERS}} (libjpeg {versions[LIBJPEG]!s:.{_MAX_LETTERS}})"
