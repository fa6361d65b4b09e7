"""One picture through one step that cuts or resizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastmar_runtime.frames import Frame
from fastmar_runtime.report import Report
from fastmar_runtime.steps import load_step
from tests.runtime import tiny_pictures as tiny


def cut(state: dict[str, Any], size: tuple[int, int]) -> tuple[Any, Frame]:
    """Pixels [height, width, 3] and frame of a noisy picture of `size` (width, height) behind the step."""
    image = tiny.noise(size)
    report = Report(2)
    before = {"image": [image, None], "frame": [Frame(size, size), None]}
    batch = load_step(state)(before, report)
    assert not report.errors
    assert batch["image"][1] is None
    assert before["image"][0] is image, "a step changes nothing it was given"
    return np.asarray(batch["image"][0]), batch["frame"][0]


def refused(state: dict[str, Any], size: tuple[int, int]) -> str:
    """Code of the refusal of a picture of `size`."""
    report = Report(1)
    batch = load_step(state)({"image": [tiny.noise(size)], "frame": [Frame(size, size)]}, report)
    assert batch["image"] == [None]
    return report.errors[0].code


def pixels(size: tuple[int, int]) -> Any:
    """Those of the picture before the step."""
    return np.asarray(tiny.noise(size))
