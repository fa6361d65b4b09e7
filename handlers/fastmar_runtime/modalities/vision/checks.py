"""Checks of the fields and the order of steps of a picture model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmar_runtime.spec import IMAGE, Spec
from fastmar_runtime.steps import PictureStep
from fastmar_runtime.steps.copies import Copies
from fastmar_runtime.steps.pil_image import PILImage
from fastmar_runtime.steps.to_tensor import ToTensor
from fastmar_runtime.validation import unreadable


def check_fields(spec: Spec) -> None:
    """Raise `BundleUnreadable` if there are fields other than the picture."""
    names = [field.name for field in spec.fields]
    if names != [IMAGE] and names:
        raise unreadable(f"spec.json: fields must have only {IMAGE!r} if kind is {spec.kind!r}")


def check_steps(steps: Sequence[Any]) -> None:
    """Check that the first step opens the picture, the last makes a tensor, and the others transform pictures."""
    for at, step in enumerate(steps):
        is_first, is_last = at == 0, at == len(steps) - 1
        opens, makes_tensor = isinstance(step, PILImage), isinstance(step, ToTensor | Copies)
        if (opens, makes_tensor) != (is_first, is_last) or not isinstance(step, PictureStep):
            raise unreadable(
                f"spec.json: steps[{at}] is invalid here: steps of pictures start with pil_image and end with "
                "to_tensor or copies"
            )
    if not steps:
        raise unreadable("spec.json: steps is empty; pictures need pil_image and to_tensor")
