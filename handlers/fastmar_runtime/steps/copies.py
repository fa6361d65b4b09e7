"""Copies of a picture for test-time augmentation: the plain picture, and copies with other crops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmar_runtime.steps import DecodedPicture, PictureStep, load_step
from fastmar_runtime.steps.to_tensor import ToTensor
from fastmar_runtime.validation import invalid


@dataclass(frozen=True, slots=True)
class Copies(PictureStep):
    """Attributes: `copies`, the steps of each copy, the plain picture first; the last of them is `to_tensor`."""

    copies: tuple[tuple[PictureStep, ...], ...]

    def __call__(self, picture: DecodedPicture) -> DecodedPicture:
        """All copies in one array, [copies * channels, height, width], with the geometry of the plain picture.

        Raises:
            RecordError: a copy is refused.
        """
        made = [_run(steps, picture) for steps in self.copies]
        return DecodedPicture(np.concatenate([copy.image for copy in made]), made[0].geometry)


def _run(steps: tuple[PictureStep, ...], picture: DecodedPicture) -> DecodedPicture:
    for step in steps:
        picture = step(picture)
    return picture


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> Copies:
    """Read ``{"copies": [[step, ...], ...]}``; `path` is its place, for messages."""
    copies = tuple(
        tuple(load_step(step, f"{path}.copies[{at}][{place}]") for place, step in enumerate(steps))
        for at, steps in enumerate(state["copies"])
    )
    for at, steps in enumerate(copies):
        ends = [isinstance(step, ToTensor) for step in steps]
        if ends != [*[False] * (len(steps) - 1), True] or not all(isinstance(step, PictureStep) for step in steps):
            raise invalid(f"{path}.copies[{at}]", "steps of pictures with to_tensor at the end", None)
    if not copies:
        raise invalid(f"{path}.copies", "a list with at least one copy", None)
    return Copies(copies)
