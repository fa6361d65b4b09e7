"""The layer for Normalize of pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.export.errors import raises
from tests.export.records import convert

from fastmar_export.errors import UnsupportedTransform
from fastmar_export.modalities.vision.pictures import BATCH

PATH = "fastai.data.transforms.Normalize"


def test_channels() -> None:
    mean, std = (
        torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1),
        torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1),
    )
    layer, _ = convert(BATCH, PATH, mean=mean, std=std)
    x = torch.rand(2, 3, 5, 4)
    assert torch.equal(layer.module(x), (x - mean) / std)
    assert np.allclose(layer.state["mean"], mean.flatten())


@pytest.mark.parametrize("mean", [None, 0.5, torch.zeros(0), torch.zeros(3, 64, 64)])
def test_mean_without_a_number_for_each_channel_is_refused(mean: Any) -> None:
    with raises(UnsupportedTransform, None, "mean"):
        convert(BATCH, PATH, mean=mean, std=torch.ones(1, 3, 1, 1))
