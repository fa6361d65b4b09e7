"""What converters of transforms of pictures share."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastmar_export.conversion import State, model_notice
from fastmar_export.converters import Domain

ITEM = Domain("vision")
"""Transforms of one picture, which become steps."""

BATCH = Domain("vision batch", makes="layer")
"""Transforms of a batch of pictures, which become layers of the graph."""


@dataclass(slots=True)
class Pictures:
    """What the transforms so far make of pictures.

    Attributes:
        size: width and height that the transforms before this one leave; None where pictures differ.
        max_pixels: that the network may be given where pictures differ.
        notices: ``{"field", "code", "message"}`` for what a caller should know.
    """

    size: tuple[int, int] | None = None
    max_pixels: int = 4_000_000
    notices: list[State] = field(default_factory=list)

    def notice(self, code: str, message: str) -> None:
        """Add a notice, which the export prints and the model's schema holds."""
        self.notices.append(model_notice(code, message))
