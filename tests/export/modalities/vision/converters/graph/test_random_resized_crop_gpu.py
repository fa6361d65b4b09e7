"""The layer for RandomResizedCropGPU; `modalities/vision/test_conversion.py` compares its output with fastai."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.export.errors import raises
from tests.export.records import convert

from fastmar_export.errors import UnsupportedTransform
from fastmar_export.modalities.vision.pictures import BATCH

PATH = "fastai.vision.augment.RandomResizedCropGPU"
ATTRIBUTES: dict[str, Any] = {
    "size": (40, 56),
    "ratio": (0.75, 4 / 3),
    "valid_scale": 1.0,
    "mode": "bilinear",
    "p": 1.0,
}


@pytest.mark.parametrize("before", [(64, 48), (200, 48), None])
def test_output_has_the_recorded_size(before: Any) -> None:
    layer, pictures = convert(BATCH, PATH, before, **ATTRIBUTES)
    width, height = before or (70, 90)
    assert layer.module(torch.rand(2, 3, height, width)).shape == (2, 3, 40, 56)
    assert pictures.size == (56, 40)
    assert layer.state["size"] == [56, 40]
    assert np.allclose(layer.state["ratio"], [0.75, 4 / 3])


@pytest.mark.parametrize(
    "change", [{"ratio": 1}, {"ratio": ("a", 1)}, {"size": None}, {"p": 0.5}, {"mode": "cubic"}, {"valid_scale": "x"}]
)
def test_invalid_attributes_are_refused(change: Any) -> None:
    with pytest.raises(UnsupportedTransform):
        convert(BATCH, PATH, **(ATTRIBUTES | change))


def test_mode_nearest_for_pictures_of_any_size_is_refused() -> None:
    with raises(UnsupportedTransform, "nearest_crop_of_any_size"):
        convert(BATCH, PATH, None, **(ATTRIBUTES | {"mode": "nearest"}))
