"""ToTensor: channels first, and limits of sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.runtime import tiny_pictures as tiny

from fastmar_contract.errors import RecordError
from fastmar_runtime.geometry import Geometry
from fastmar_runtime.steps import DecodedPicture, load_step


def convert(image: Any, **state: Any) -> Any:
    picture = DecodedPicture(image, Geometry(image.size, image.size))
    found = load_step({"step": "to_tensor", **state})(picture)
    assert found.geometry == picture.geometry
    return found.image


def test_channels_come_first() -> None:
    colour, grey = tiny.noise((7, 5)), tiny.noise((7, 5), 1)
    assert np.array_equal(convert(colour), np.moveaxis(np.asarray(colour), 2, 0))
    assert np.array_equal(convert(grey), np.asarray(grey)[None])
    assert convert(colour).dtype == convert(grey).dtype == np.uint8


@pytest.mark.parametrize(
    ("state", "accepted", "refused", "code"),
    [
        ({"size": [7, 5]}, (7, 5), (5, 7), "bad_shape"),
        ({"max_pixels": 35}, (7, 5), (6, 6), "too_many_pixels"),
        ({"max_pixels": 100, "max_side": 20}, (20, 5), (21, 1), "too_many_pixels"),
    ],
)
def test_sizes_that_the_network_does_not_accept(state: Any, accepted: Any, refused: Any, code: str) -> None:
    assert convert(tiny.noise(accepted), **state).shape == (3, *accepted[::-1])
    with pytest.raises(RecordError) as caught:
        convert(tiny.noise(refused), **state)
    assert caught.value.code == code
    assert f"{refused[0]} x {refused[1]}" in caught.value.message
