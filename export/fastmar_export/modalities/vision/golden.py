"""Golden pictures for a new archive. They are synthetic, so that an archive contains no training picture."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from fastmar_export.conversion import State
from fastmar_runtime.spec import IMAGE

_SEED = 20
# Modes, widths and heights. For a picture model without a fixed size, all have `GOLDEN_SIZE`.
_SHAPES = (("RGB", 96, 72), ("RGB", 60, 110), ("L", 80, 80), ("RGBA", 73, 41), ("P", 40, 64), ("RGB", 200, 30))
GOLDEN_SIZE = (96, 80)
_BARS = 5


def golden_pictures(steps: Sequence[State]) -> list[dict[str, Any]]:
    """Records with a few small PNG files in base64."""
    open_size = not any(step.get("size") for step in steps)
    only_size = next((step["size"] for step in steps if step["step"] == "to_tensor" and "size" in step), None)
    generator = np.random.default_rng(_SEED)
    records = []
    for number, (mode, width, height) in enumerate(_SHAPES):
        size = GOLDEN_SIZE if open_size else (width, height)
        if only_size:
            size = (only_size[0], only_size[1])
        name = f"{number}-{mode.lower()}-{size[0]}x{size[1]}.png"
        data = base64.b64encode(_draw_png(mode, *size, generator)).decode()
        records.append({IMAGE: {"b64": data}, "name": name})
    return records


def _draw_png(mode: str, width: int, height: int, generator: np.random.Generator) -> bytes:
    """A PNG with gradients, bars and noise, to have smooth areas, edges and details as in photographs."""
    down, across = np.mgrid[0:height, 0:width].astype(np.float64)
    slope = across / width * 160 + down / height * 60
    bars = 60 * ((across * _BARS // width + down * _BARS // height) % 2)
    grain = generator.integers(0, 30, (height, width, 4))
    tints = generator.uniform(0.3, 1.0, 4)
    pixels = np.clip((slope + bars)[..., None] * tints + grain, 0, 255).astype(np.uint8)
    channels = len(Image.new(mode, (1, 1)).getbands())
    if mode == "P":
        image = Image.fromarray(pixels[..., 0] // 8 * 8).quantize(16)
    else:
        image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels[..., :channels])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
