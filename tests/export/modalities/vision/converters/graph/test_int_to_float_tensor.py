"""The layer for IntToFloatTensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.export.errors import raises
from tests.export.records import convert

from fastmar_export.errors import UnsupportedTransform
from fastmar_export.modalities.vision.pictures import BATCH

PATH = "fastai.data.transforms.IntToFloatTensor"


@pytest.mark.parametrize("div", [255.0, 255, 1.0, np.float64(127.5)])
def test_bytes_are_divided(div: Any) -> None:
    layer, pictures = convert(BATCH, PATH, div=div, div_mask=1)
    x = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    assert torch.equal(layer.module(x), x.float().div_(float(div)))
    assert layer.state == {"layer": "int_to_float_tensor", "div": float(div)}
    assert pictures.size == (64, 48)


def test_divisor_that_is_not_a_number_is_refused() -> None:
    with raises(UnsupportedTransform, None, "div"):
        convert(BATCH, PATH, div="255")
