"""One picture through one step that cuts or resizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastmar_contract.errors import RecordError
from fastmar_runtime.frames import Frame
from fastmar_runtime.steps import DecodedPicture, load_step
from tests.runtime import tiny_pictures as tiny


def cut(state: dict[str, Any], size: tuple[int, int]) -> tuple[Any, Frame]:
    """Pixels [height, width, 3] and frame of a noisy picture of `size` (width, height) behind the step."""
    before = DecodedPicture(tiny.noise(size), Frame(size, size))
    after = load_step(state)(before)
    assert np.array_equal(np.asarray(before.image), pixels(size)), "a step changes nothing it was given"
    return np.asarray(after.image), after.frame


def refused(state: dict[str, Any], size: tuple[int, int]) -> str:
    """Code of the refusal of a picture of `size`."""
    with pytest.raises(RecordError) as caught:
        load_step(state)(DecodedPicture(tiny.noise(size), Frame(size, size)))
    return caught.value.code


def pixels(size: tuple[int, int]) -> Any:
    """Those of the picture before the step."""
    return np.asarray(tiny.noise(size))
