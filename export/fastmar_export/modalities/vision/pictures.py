"""The object that converters of picture transforms share."""

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
    """The properties of pictures after the transforms converted so far.

    Attributes:
        size: width and height of the pictures; None if they differ.
        max_pixels: limit of a picture's pixels at the network's input, if sizes differ.
        notices: facts that a caller should know, each as ``{"field", "code", "message"}``.
    """

    size: tuple[int, int] | None = None
    max_pixels: int = 4_000_000
    notices: list[State] = field(default_factory=list)

    def notice(self, code: str, message: str) -> None:
        """Add a notice. The export prints it, and the model's schema contains it."""
        self.notices.append(model_notice(code, message))
