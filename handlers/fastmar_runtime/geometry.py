"""The position of the network's pixels in the original picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Size = tuple[int, int]
"""Width and height, in pixels."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """The position of a preprocessed picture in the original picture, which the caller sent.

    Attributes:
        sent: size of the original picture.
        size: current size.
        scale: original pixels per current pixel, horizontally and vertically.
        offset: original coordinates of the upper left corner, which may be outside of the original picture.
        mask_size: requested size of masks; see `Picture`.
    """

    sent: Size
    size: Size
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    mask_size: str = "model"

    def crop(self, corner: tuple[int, int], box: Size, size: Size) -> Geometry:
        """The geometry after cropping a box of size `box` at `corner`, and resizing it to `size`."""
        return Geometry(
            self.sent,
            size,
            (self.scale[0] * box[0] / size[0], self.scale[1] * box[1] / size[1]),
            (self.offset[0] + corner[0] * self.scale[0], self.offset[1] + corner[1] * self.scale[1]),
            self.mask_size,
        )


def apply_layers(geometry: Geometry, layers: Sequence[dict[str, Any]]) -> Geometry:
    """The geometry after the layers of the graph, some of which crop or resize."""
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
            geometry = geometry.crop(corner, (w, h), (size[0], size[1]))
        elif size is not None:
            geometry = geometry.crop((0, 0), geometry.size, (size[0], size[1]))
    return geometry
