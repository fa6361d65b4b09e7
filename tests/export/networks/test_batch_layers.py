"""Layers for fastai's batch transforms, compared with fastai at validation."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from fastai.data.transforms import IntToFloatTensor, Normalize
from fastai.torch_core import TensorImage
from fastai.vision.augment import (
    AffineCoordTfm,
    Dihedral,
    Flip,
    RandomResizedCropGPU,
    Rotate,
    Warp,
    Zoom,
    aug_transforms,
)

from fastmar_export.networks import batch_layers, export_graph
from fastmar_export.networks.batch_layers import Affine

TOLERANCE = 1e-4  # of a pixel's range; float32 coordinates of some hundred pixels are known to 3e-5

SIZES = [(64, 64), (61, 97), (150, 60), (33, 128), (300, 101)]  # for some, fastai averages before sampling
OUT = [None, 48, (40, 56), (124, 90), (1, 7)]


pytestmark = pytest.mark.filterwarnings(  # torch warns about fastai's calls
    "ignore:Since version 1.3.0, affine_grid:UserWarning", "ignore:Default grid_sample and affine_grid:UserWarning"
)


def fastais(transform: Any, x: torch.Tensor) -> torch.Tensor:
    return transform(TensorImage(x.clone()), split_idx=1).as_subclass(torch.Tensor)


def pair(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    return (size, size) if isinstance(size, int) else size


def difference(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max())


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("pad_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_affine_samples_as_fastai_does(mode: str, pad_mode: str, align_corners: bool) -> None:
    torch.manual_seed(0)
    forms = set()
    for size, out in product(SIZES, OUT):
        x = torch.rand(2, 3, *size)
        theirs = fastais(Flip(size=out, mode=mode, pad_mode=pad_mode, align_corners=align_corners), x)
        for input_size in (size, None):
            layer = Affine(pair(out), mode, pad_mode, align_corners, input_size)
            assert difference(layer(x), theirs) <= (TOLERANCE if mode == "bilinear" else 0), (size, out, input_size)
            forms.add(type(layer.form).__name__)
    expected = (
        {"Identity", "SelectPixels", "GridSample"} if mode == "nearest" else {"Identity", "Matrices", "DynamicMatrices"}
    )
    resizes = mode == "bilinear" and (align_corners or pad_mode != "zeros")
    assert forms == expected | ({"Resize"} if resizes else set())


@pytest.mark.parametrize(
    "transform",
    [
        AffineCoordTfm(size=48),  # align_corners is None
        Rotate(45, p=1),
        Warp(0.4, p=1),
        Zoom(0.5, 2, p=1, size=40, pad_mode="border"),
        Dihedral(p=1, size=50),
    ],
    ids=lambda transform: type(transform).__name__,
)
def test_affine_layer_implements_all_affine_transforms(transform: Any) -> None:
    x = torch.rand(2, 3, 72, 60)
    layer = Affine(pair(transform.size), transform.mode, transform.pad_mode, transform.align_corners, (72, 60))
    assert difference(layer(x), fastais(transform, x)) <= TOLERANCE


@pytest.mark.parametrize("min_scale", [1.0, 0.5])
@pytest.mark.parametrize("size", [48, (40, 60)])
def test_aug_transforms_with_a_size(size: Any, min_scale: float) -> None:
    x = torch.rand(2, 3, 130, 120)
    theirs, ours = x, x
    for transform in sorted(aug_transforms(size=size, min_scale=min_scale), key=lambda t: t.order):
        theirs = fastais(transform, theirs)
        shape = tuple(ours.shape[-2:])
        if isinstance(transform, AffineCoordTfm):
            layer = Affine(pair(transform.size), transform.mode, transform.pad_mode, transform.align_corners, shape)
            ours = layer(ours)
        elif isinstance(transform, RandomResizedCropGPU):
            ours = batch_layers.RandomResizedCropGPU(
                transform.size, transform.ratio, transform.valid_scale, transform.mode, shape
            )(ours)
    assert ours.shape[-2:] == pair(size)
    assert difference(ours, theirs) <= TOLERANCE


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("valid_scale", [1.0, 0.77])
@pytest.mark.parametrize("ratio", [(3 / 4, 4 / 3), (1, 1)])
def test_centre_crop_equals_fastai(ratio: tuple[float, float], valid_scale: float, mode: str) -> None:
    torch.manual_seed(0)
    for size, out in product(SIZES, [48, (40, 56)]):
        x = torch.rand(2, 3, *size)
        theirs = fastais(RandomResizedCropGPU(out, ratio=ratio, valid_scale=valid_scale, mode=mode), x)
        for input_size in (size, None) if mode == "bilinear" else (size,):
            layer = batch_layers.RandomResizedCropGPU(pair(out), ratio, valid_scale, mode, input_size)  # type: ignore
            assert difference(layer(x), theirs) <= (TOLERANCE if mode == "bilinear" else 0), (size, out, input_size)


def test_conversion_to_floats_is_exact() -> None:
    x = torch.randint(0, 256, (2, 3, 8, 9), dtype=torch.uint8)
    floats = batch_layers.IntToFloatTensor(255.0)(x)
    assert torch.equal(floats, fastais(IntToFloatTensor(), x))
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    theirs = fastais(Normalize.from_stats(mean, std, cuda=False), floats)
    assert torch.equal(batch_layers.Normalize(mean, std)(floats), theirs)


@pytest.mark.parametrize("options", [{"mode": "bicubic"}, {"pad_mode": "wrap"}])
def test_unknown_modes_are_refused(options: dict[str, str]) -> None:
    [value] = options.values()
    with pytest.raises(ValueError, match=value):
        Affine((4, 4), **options)  # type: ignore[arg-type]


FORMS = {
    "identity": (Affine(input_size=(60, 64)), (60, 64)),
    "resize": (Affine((48, 40), input_size=(60, 64)), (60, 64)),
    "resize, corners apart": (Affine((48, 40), align_corners=None, input_size=(60, 64)), (60, 64)),
    "matrices": (Affine((24, 20), input_size=(97, 130)), (97, 130)),
    "zeros": (Affine((48, 40), "bilinear", "zeros", False, (60, 64)), (60, 64)),
    "nearest": (Affine((48, 40), "nearest", input_size=(60, 64)), (60, 64)),
    "crop": (batch_layers.RandomResizedCropGPU((48, 40), input_size=(60, 130)), (60, 130)),
    "any size": (Affine(), None),
    "any size, resized": (Affine((24, 20)), None),
    "any size, nearest": (Affine((24, 20), "nearest"), None),
    "any size, crop": (batch_layers.RandomResizedCropGPU((24, 20), valid_scale=0.9), None),
}


@pytest.mark.parametrize("name", FORMS)
def test_graph_computes_the_same_from_bytes(name: str) -> None:
    layer, size = FORMS[name]
    chain = torch.nn.Sequential(
        batch_layers.IntToFloatTensor(), layer, batch_layers.Normalize([0.4, 0.5, 0.6], [0.2, 0.25, 0.3])
    )
    random = np.random.default_rng(0)
    sizes = [size] * 3 if size else [(97, 130), (160, 61), (33, 48)]
    batches = [
        random.integers(0, 256, (count, 3, *each), dtype=np.uint8) for count, each in zip((2, 1, 5), sizes, strict=True)
    ]
    dynamic_axes = {} if size else {"image": {2: "height", 3: "width"}}
    graph, _ = export_graph(chain.eval(), {"image": batches[0]}, ["image"], dynamic_axes)
    assert graph.inputs[0].dtype == "uint8"
    assert graph.inputs[0].shape == ("batch", 3, *(size or ("height", "width")))
    session = onnxruntime.InferenceSession(graph.model)
    for x in batches:
        theirs = chain(torch.from_numpy(x)).numpy()
        ours = session.run(None, {"image": x})[0]
        assert np.abs(ours - theirs).max() * 0.3 <= TOLERANCE
