"""The layer for affine transforms; `modalities/vision/test_conversion.py` compares its output with fastai."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.export.records import convert

from fastmar_export.errors import UnsupportedTransform
from fastmar_export.modalities.vision.converters.graph.affine import FAMILY
from fastmar_export.modalities.vision.pictures import BATCH

PATH = "fastai.vision.augment."
ATTRIBUTES: dict[str, Any] = {"size": None, "mode": "bilinear", "pad_mode": "reflection", "align_corners": True}


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("split_idx", [None, 0, 1])
def test_split_idx_is_ignored(name: str, split_idx: Any) -> None:
    layer, pictures = convert(BATCH, PATH + name, **ATTRIBUTES, split_idx=split_idx)
    assert layer.state["layer"] == "affine"
    assert pictures.size == (64, 48)
    x = torch.rand(1, 3, 48, 64)
    assert np.allclose(layer.module(x), x, atol=1e-4)


@pytest.mark.parametrize(("size", "expected"), [(32, (32, 32)), ((24, 40), (40, 24))])
@pytest.mark.parametrize("before", [(64, 48), None])
def test_recorded_size_is_height_and_width(size: Any, expected: Any, before: Any) -> None:
    layer, pictures = convert(BATCH, f"{PATH}Flip", before, **(ATTRIBUTES | {"size": size}))
    assert pictures.size == expected
    assert layer.state["size"] == list(expected)
    assert layer.module(torch.rand(1, 3, 48, 64)).shape == (1, 3, expected[1], expected[0])


@pytest.mark.parametrize(
    "change", [{"mode": "bicubic"}, {"pad_mode": "wrap"}, {"size": "large"}, {"size": (3, 0)}, {"align_corners": 3.5}]
)
def test_invalid_attributes_are_refused(change: Any) -> None:
    with pytest.raises(UnsupportedTransform):
        convert(BATCH, f"{PATH}Flip", **(ATTRIBUTES | change))
