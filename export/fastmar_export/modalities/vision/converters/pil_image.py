"""PILImage.create and PILImageBW.create: decode a picture's bytes to pixels.

They are bound methods, which `picture_class` recognises, so no converter is registered.
"""

from __future__ import annotations

from fastmar_export.conversion import State
from fastmar_export.modalities.vision.picture_class import MODES

MAX_PIXELS = 50_000_000
MAX_BYTES = 32 * 1024 * 1024


def pil_image(path: str, *, exif_transpose: bool) -> State:
    """``{"mode", "exif_transpose", "max_pixels", "max_bytes"}`` for the class at `path`."""
    return {
        "step": "pil_image",
        "mode": MODES[path],
        "exif_transpose": exif_transpose,
        "max_pixels": MAX_PIXELS,
        "max_bytes": MAX_BYTES,
    }
