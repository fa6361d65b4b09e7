"""Unusual pictures, and small learners of all kinds whose input is a picture, made with fastai."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.data.block import CategoryBlock, DataBlock, MultiCategoryBlock, RegressionBlock
from fastai.data.transforms import FuncSplitter, Normalize, get_c
from fastai.layers import AdaptiveConcatPool2d, Flatten, ResBlock, SigmoidRange
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.torch_core import tensor
from fastai.vision.augment import (
    AffineCoordTfm,
    Brightness,
    CropPad,
    Dihedral,
    DihedralItem,
    Flip,
    FlipItem,
    Hue,
    RandomCrop,
    RandomErasing,
    RandomResizedCrop,
    RandomResizedCropGPU,
    Resize,
    Rotate,
    Saturation,
    Warp,
    Zoom,
    aug_transforms,
)
from fastai.vision.core import PILImage, PILImageBW, imagenet_stats
from fastai.vision.data import ImageBlock, MaskBlock, PointBlock
from fastai.vision.learner import unet_learner, vision_learner
from fastai.vision.models import resnet18
from fastai.vision.models.xresnet import XResNet
from PIL import Image

BILINEAR, NEAREST, BICUBIC = Image.Resampling.BILINEAR, Image.Resampling.NEAREST, Image.Resampling.BICUBIC


def pixels(width: int, height: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Gradients with noise, uint8 [height, width, channels]."""
    generator = np.random.default_rng(seed)
    down, across = np.mgrid[0:height, 0:width]
    slope = (across * 200 // max(width, 1) + down * 50 // max(height, 1))[..., None]
    return np.clip(slope + generator.integers(0, 60, (height, width, channels)), 0, 255).astype(np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned() -> bytes:
    """A photo with an EXIF orientation."""
    image = Image.fromarray(pixels(90, 50))
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(image, "JPEG", exif=exif, quality=90)


def palette(transparency: Any = None) -> bytes:
    image = Image.fromarray(pixels(70, 45)).quantize(32)
    options = {} if transparency is None else {"transparency": transparency}
    return encoded(image, **options)


@cache
def odd_pictures() -> dict[str, bytes]:
    """Pictures in all shapes and modes that have caused errors."""
    frames = [Image.fromarray(pixels(40, 30, seed=s)).quantize(16) for s in range(2)]
    deep = (pixels(50, 60, 1)[..., 0].astype(np.uint16) * 7).astype(np.uint16)
    return {
        "portrait": encoded(Image.fromarray(pixels(61, 97)), "JPEG", quality=85),
        "landscape": encoded(Image.fromarray(pixels(133, 71))),
        "tiny": encoded(Image.fromarray(pixels(5, 7))),
        "same size": encoded(Image.fromarray(pixels(64, 64))),
        "grey": encoded(Image.fromarray(pixels(80, 55, 1)[..., 0]), "JPEG"),
        "grey with alpha": encoded(Image.fromarray(pixels(66, 70, 2))),
        "rgba": encoded(Image.fromarray(pixels(75, 44, 4))),
        "palette": palette(),
        "palette with one transparent colour": palette(3),
        "palette with transparency in bytes": palette(bytes(range(32))),
        "cmyk": encoded(Image.fromarray(pixels(58, 83, 4), "CMYK"), "JPEG"),
        "16 bits": encoded(Image.fromarray(deep)),
        "one bit": encoded(Image.fromarray(pixels(49, 52, 1)[..., 0]).convert("1")),
        "turned by EXIF": turned(),
        "animated": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "bmp": encoded(Image.fromarray(pixels(45, 65)), "BMP"),
        "webp": encoded(Image.fromarray(pixels(64, 48)), "WEBP", quality=80),
        "tiff": encoded(Image.fromarray(pixels(54, 61)), "TIFF"),
        "long": encoded(Image.fromarray(pixels(300, 11))),
    }


@dataclass
class Config:
    """Transforms of a learner, and its picture class."""

    item: list[Any] = field(default_factory=list)
    batch: list[Any] = field(default_factory=list)
    cls: Any = PILImage


def _resizes() -> dict[str, Config]:
    found = {}
    for size in (64, (48, 80), (77, 31), 33):
        for method in ("crop", "squish"):
            found[f"Resize {size} {method}"] = Config([Resize(size, method=method)])
        for pad in ("zeros", "border", "reflection"):
            found[f"Resize {size} pad {pad}"] = Config([Resize(size, method="pad", pad_mode=pad)])
    return found


def _normalize(channels: int = 3) -> Normalize:
    mean, std = imagenet_stats
    return Normalize.from_stats(mean[:channels], std[:channels], cuda=False)


CONFIGS: dict[str, Config] = {
    **_resizes(),
    "Resize nearest": Config([Resize(64, resamples=(NEAREST, NEAREST))]),
    "Resize bicubic": Config([Resize((40, 72), method="pad", pad_mode="border", resamples=(BICUBIC, NEAREST))]),
    "Resize grey": Config([Resize(64)], cls=PILImageBW),
    "Resize grey pad reflection": Config([Resize((50, 90), method="pad")], cls=PILImageBW),
    "Resize grey pad zeros": Config([Resize((50, 90), method="pad", pad_mode="zeros")], cls=PILImageBW),
    "RandomResizedCrop": Config([RandomResizedCrop(64, min_scale=0.3)]),
    "RandomResizedCrop of a rectangle": Config([RandomResizedCrop((40, 72))]),
    "RandomResizedCrop without extra": Config([RandomResizedCrop(56, val_xtra=0.0)]),
    "RandomResizedCrop with much extra": Config([RandomResizedCrop(64, val_xtra=0.5, resamples=(BICUBIC, NEAREST))]),
    "RandomCrop": Config([RandomCrop(48)]),
    "RandomCrop of a rectangle": Config([RandomCrop((35, 90))]),
    "CropPad zeros": Config([CropPad(64)]),
    "CropPad border": Config([CropPad((90, 41), pad_mode="border")]),
    "CropPad reflection": Config([CropPad((70, 71), pad_mode="reflection")]),
    "CropPad, then Resize": Config([CropPad(90, pad_mode="border"), Resize(48, method="squish")]),
    "Resize, then RandomCrop": Config([Resize(72), RandomCrop(64)]),
    "FlipItem and DihedralItem": Config([Resize(64), FlipItem(), DihedralItem()]),
    "nothing": Config(),
    "aug_transforms": Config([Resize(64)], [*aug_transforms(), _normalize()]),
    "aug_transforms to a size": Config([Resize(96)], [*aug_transforms(size=64), _normalize()]),
    "aug_transforms to half": Config([Resize(160)], aug_transforms(size=40)),
    "aug_transforms to a rectangle": Config([Resize((96, 120))], aug_transforms(size=(48, 80), pad_mode="zeros")),
    "aug_transforms with a scale": Config([Resize(96)], aug_transforms(size=64, min_scale=0.5)),
    "aug_transforms with flips": Config([Resize(64)], aug_transforms(flip_vert=True, mult=2)),
    "aug_transforms, larger": Config([Resize(48)], aug_transforms(size=80)),
    "aug_transforms, any size": Config([], aug_transforms()),
    "aug_transforms from any size": Config([], aug_transforms(size=64)),
    "affine without corners": Config([Resize(90)], [AffineCoordTfm(size=64)]),
    "Zoom and Warp, unmerged": Config([Resize(64)], [Zoom(), Warp(), Rotate(), Dihedral()]),
    "Flip by nearest": Config([Resize(96)], [Flip(size=64, mode="nearest")]),
    "RandomResizedCropGPU": Config([Resize((64, 160))], [RandomResizedCropGPU(56, valid_scale=0.8)]),
    "RandomResizedCropGPU, tall": Config([Resize((170, 64))], [RandomResizedCropGPU((48, 64), ratio=(0.5, 1))]),
    "light and erasing": Config([Resize(64)], [Brightness(), Hue(), Saturation(), RandomErasing(), _normalize()]),
    "grey normalized": Config([Resize(64)], [*aug_transforms(), _normalize(1)], PILImageBW),
}


def _open(path: Path) -> Path:
    return path


def dls_of(config: Config, folder: Path, block: Any = None, get_y: Callable[[Path], Any] | None = None) -> Any:
    """Loaders of eight pictures in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{'cat' if number % 2 else 'dog'}_{number}.png" for number in range(8)]
    for number, file in enumerate(files):
        if not file.exists():
            Image.fromarray(pixels(80, 70, seed=number)).save(file)
    blocks = (ImageBlock(config.cls), block or CategoryBlock)
    data = DataBlock(
        blocks=blocks,
        get_y=get_y or (lambda path: path.name[:3]),
        splitter=FuncSplitter(lambda path: path.stem.endswith(("6", "7"))),
        item_tfms=config.item,
        batch_tfms=config.batch,
    )
    return data.dataloaders(files, bs=2, num_workers=0)


def tiny_learner(config: Config, folder: Path) -> Learner:
    """A learner with a network of one layer, for tests of transforms."""
    dls = dls_of(config, folder)
    channels = 1 if config.cls is PILImageBW else 3
    pool = torch.nn.AdaptiveAvgPool2d(4)
    network = torch.nn.Sequential(pool, torch.nn.Flatten(), torch.nn.Linear(16 * channels, 2))
    return Learner(dls, network, loss_func=CrossEntropyLossFlat())


def mask_of(path: Path) -> Path:
    mask = path.with_suffix(".bmp")
    if not mask.exists():
        Image.fromarray(pixels(80, 70, 1, seed=3)[..., 0] // 100).save(mask)
    return mask


def small_learner(dls: Any, arch: Any, *, y_range: Any = None, n_in: int = 3, **_: Any) -> Learner:
    """A replacement for `vision_learner` with a network whose export takes a second."""
    layers = [torch.nn.Conv2d(n_in, 8, 5, stride=3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), AdaptiveConcatPool2d(1)]
    end = [] if y_range is None else [SigmoidRange(*y_range)]
    network = torch.nn.Sequential(*layers, Flatten(), torch.nn.Linear(16, get_c(dls)), *end)
    return Learner(dls, network)


def small_unet(dls: Any, arch: Any, *, pretrained: bool, normalize: bool) -> Learner:
    """`unet_learner` with an encoder of two blocks; the body of an `xresnet` ends four layers before its end."""

    def encoder(pretrained: bool = False) -> torch.nn.Module:
        return XResNet(ResBlock, 1, [1, 1], widen=0.25, stem_szs=(8, 8, 64))

    return unet_learner(dls, encoder, cut=-4, pretrained=pretrained, normalize=normalize)


@dataclass
class Case:
    """Describes a learner."""

    block: Any
    get_y: Callable[[Path], Any]
    config: Config = field(default_factory=lambda: Config([Resize(64)], [*aug_transforms(), _normalize()]))
    learner: dict[str, Any] = field(default_factory=dict)
    make: Any = vision_learner


CASES: dict[str, Case] = {
    "one label": Case(CategoryBlock, lambda path: path.name[:3]),
    "one of many labels": Case(
        CategoryBlock(vocab=[f"c{i}" for i in range(150)]), lambda path: "c3", make=small_learner
    ),
    "several labels": Case(MultiCategoryBlock, lambda path: [path.name[:3]], make=small_learner),
    "several labels, encoded": Case(
        MultiCategoryBlock(encoded=True, vocab=["a", "b", "c"]), lambda path: [1, 0, 1], make=small_learner
    ),
    "one number": Case(RegressionBlock, lambda path: 1.5, make=small_learner),
    "three numbers": Case(RegressionBlock(n_out=3), lambda path: [1.0, 2.0, 3.0], make=small_learner),
    "a number in a range": Case(RegressionBlock, lambda path: 1.5, learner={"y_range": (0, 5)}, make=small_learner),
    "points": Case(PointBlock, lambda path: tensor([[10.0, 20.0], [30.0, 44.0]]), make=small_learner),
    "points behind a crop": Case(
        PointBlock,
        lambda path: tensor([[10.0, 20.0]]),
        Config([Resize(96, method="pad")], [*aug_transforms(size=64), _normalize()]),
        make=small_learner,
    ),
    "mask": Case(MaskBlock(codes=np.array(["sky", "road", "car"])), mask_of, make=small_unet),
    "grey": Case(
        CategoryBlock,
        lambda path: path.name[:3],
        Config([RandomResizedCrop(64)], [_normalize(1)], PILImageBW),
        {"n_in": 1},
        small_learner,
    ),
    "resized in the graph": Case(
        CategoryBlock,
        lambda path: path.name[:3],
        Config([Resize(128)], [*aug_transforms(size=64), _normalize()]),
        make=small_learner,
    ),
    "pictures of any size": Case(
        CategoryBlock, lambda path: path.name[:3], Config([], [_normalize()]), make=small_learner
    ),
}


def make_learner(case: Case, folder: Path) -> Learner:
    """A learner with random weights, and batch norms with statistics of a few batches."""
    torch.manual_seed(0)
    dls = dls_of(case.config, folder, case.block, case.get_y)
    learn = case.make(dls, resnet18, pretrained=False, normalize=False, **case.learner)
    learn.model.train()
    with torch.no_grad():
        for _ in range(10):
            learn.model(dls.train.one_batch()[0])
    learn.model.eval()
    return learn
