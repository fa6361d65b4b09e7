"""Where the network's pixels lie in the picture that was sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Size = tuple[int, int]
"""Width and height, in pixels."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where a picture on its way to the network lies in the picture that was sent.

    Attributes:
        sent: size of the picture that was sent.
        size: size that it has now.
        scale: pixels of the picture that was sent for one pixel now, across and down.
        offset: place in the picture that was sent of the upper left corner, which may be outside of it.
        mask_size: what the caller asked for masks; see `Picture`.
    """

    sent: Size
    size: Size
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    mask_size: str = "model"

    def cut(self, corner: tuple[int, int], cut: Size, size: Size) -> Geometry:
        """The geometry after `cut` pixels from `corner` on became a picture of `size`."""
        return Geometry(
            self.sent,
            size,
            (self.scale[0] * cut[0] / size[0], self.scale[1] * cut[1] / size[1]),
            (self.offset[0] + corner[0] * self.scale[0], self.offset[1] + corner[1] * self.scale[1]),
            self.mask_size,
        )


def apply_layers(geometry: Geometry, layers: Sequence[dict[str, Any]]) -> Geometry:
    """Where the network's own input lies, behind the layers that cut or resize within the graph."""
    for layer in layers:
        size: Any = layer.get("size")
        if layer["layer"] == "random_resized_crop_gpu":
            (w, h), (low, high), scale = geometry.size, layer["ratio"], layer["valid_scale"]
            if w / h < low:
                h = int(w / low)
            elif w / h > high:
                w = int(h * high)
            w, h = int(w * scale), int(h * scale)
            corner = ((geometry.size[0] - w) // 2, (geometry.size[1] - h) // 2)
            geometry = geometry.cut(corner, (w, h), (size[0], size[1]))
        elif size is not None:
            geometry = geometry.cut((0, 0), geometry.size, (size[0], size[1]))
    return geometry
