"""The network's input, compared with fastai's transforms: bytes must be equal, floats within a tolerance."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.export.pictures import CONFIGS, odd_pictures, tiny_learner
from torch import nn

from fastmar_export.conversion import Conversion
from fastmar_export.learner import open_learner
from fastmar_export.modalities import modality_of
from fastmar_export.modalities.vision.conversion import convert_vision
from fastmar_export.options import Options
from fastmar_export.reader import read_torch_file
from fastmar_runtime.modalities.vision.preprocessing import PicturePreprocessor
from fastmar_runtime.spec import Spec

TOLERANCE = 1e-4
"""Relative to the range of the network's input; layers in the graph use other formulas (see batch_layers)."""


def spec_of(conversion: Conversion) -> Spec:
    fields, steps, layers = conversion.fields, conversion.steps, conversion.layer_states
    return Spec(1, "m", "1.0", "vision", "0", fields, steps, (), (), {}, ("label",), layers)


def converted(learn: Any, folder: Path, **options: Any) -> Conversion:
    learn.export(folder / "learner.pkl")
    learner = open_learner(read_torch_file(folder / "learner.pkl").root)
    assert modality_of(learner).name == "vision"
    return convert_vision(learner, Options("m", **options))


def fastais(learn: Any, data: bytes) -> tuple[torch.Tensor, torch.Tensor] | None:
    """fastai's bytes after the item transforms, and its network input; None if it fails for the picture."""
    dl = learn.dls.test_dl([data], num_workers=0)
    dl.before_iter()  # tells the transforms that this is not training
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Pillow and torch, about fastai's calls
        try:
            item = dl.do_item(0)[0]
        except (ValueError, SystemError):
            return None
        return item.as_subclass(torch.Tensor), dl.one_batch()[0].as_subclass(torch.Tensor)


@pytest.mark.parametrize("name", CONFIGS)
def test_network_input_equals_fastai(name: str, tmp_path: Path, tmp_path_factory: Any) -> None:
    config = CONFIGS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of fastai's affine_grid
        learn = tiny_learner(config, tmp_path_factory.getbasetemp() / "pictures")
    conversion = converted(learn, tmp_path)
    preprocess = PicturePreprocessor(spec_of(conversion))
    layers = nn.Sequential(*(layer.module for layer in conversion.layers))
    pictures = odd_pictures()
    groups, report = preprocess.groups(list(pictures.values()))
    ours = {row: group.inputs["image"][place] for group in groups for place, row in enumerate(group.rows)}
    geometries = {row: group.geometries[place] for group in groups for place, row in enumerate(group.rows)}
    compared = 0
    for row, (kind, data) in enumerate(pictures.items()):
        found = fastais(learn, data)
        if found is None:
            assert row in report.errors, kind
            continue
        theirs, batch = found
        assert row not in report.errors, (kind, report.errors[row])
        assert ours[row].dtype == np.uint8
        assert np.array_equal(ours[row], theirs.numpy()), kind
        with torch.no_grad():
            floats = layers(torch.from_numpy(np.ascontiguousarray(ours[row][None])))
        difference = float((floats - batch).abs().max())
        assert floats.shape == batch.shape
        assert difference <= TOLERANCE * max(1.0, float(batch.max() - batch.min())), (kind, difference)
        assert geometries[row].size == (batch.shape[-1], batch.shape[-2])
        compared += 1
    assert compared >= 9
