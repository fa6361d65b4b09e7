"""Whether the steps of pictures stand in an order that works."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmar_runtime.spec import IMAGE, Spec
from fastmar_runtime.steps import PictureStep
from fastmar_runtime.steps.pil_image import PILImage
from fastmar_runtime.steps.to_tensor import ToTensor
from fastmar_runtime.validation import unreadable


def check_fields(spec: Spec) -> None:
    """Raise `BundleUnreadable` where there are fields other than the picture."""
    names = [field.name for field in spec.fields]
    if names != [IMAGE] and names:
        raise unreadable(f"spec.json: fields must be {IMAGE!r} alone where kind is {spec.kind!r}")


def check_steps(steps: Sequence[Any]) -> None:
    """A picture is opened first and becomes a tensor last; each step between takes an open picture and gives one."""
    for at, step in enumerate(steps):
        is_first, is_last = at == 0, at == len(steps) - 1
        opens, ends = isinstance(step, PILImage), isinstance(step, ToTensor)
        if (opens, ends) != (is_first, is_last) or not isinstance(step, PictureStep):
            raise unreadable(
                f"spec.json: steps[{at}] can't be there: steps of pictures begin with pil_image and end with to_tensor"
            )
    if not steps:
        raise unreadable("spec.json: steps is empty, where pictures need pil_image and to_tensor")
