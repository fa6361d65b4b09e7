"""A learner that marks the brick, grass and gravel in a picture, and test pictures, for `examples/screenshots.py`.

The pictures are mosaics of photographs from the package scikit-image. The network is small and trains in a minute. The
learner is cached in `.build/mosaics`.
"""

from __future__ import annotations

from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from examples.caching import cached_folder
from examples.textures import TEXTURES

CACHE = Path(__file__).resolve().parents[1] / ".build" / "mosaics"
NAME = "mosaics"
TEST_PICTURES = "asked"
PICTURES, TEST = 96, 4
SIZE = 128  # pixels
SEED = 13


def cached() -> tuple[Path, list[Path]]:
    """The learner and the test pictures; trained on the first call."""
    folder = cached_folder(CACHE, _train)
    return folder / "learner.pkl", sorted((folder / TEST_PICTURES).iterdir())


def write_mosaics(folder: Path) -> None:
    """Write pictures to `pictures` and `asked`, and the masks of the first to `masks`."""
    random = np.random.default_rng(SEED)
    sources = [str(files("skimage.data") / f"{texture}.png") for texture in TEXTURES]
    photographs = [np.asarray(Image.open(source).convert("RGB")) for source in sources]
    for name in ("pictures", "masks", TEST_PICTURES):
        (folder / name).mkdir()
    for number in range(PICTURES + TEST):
        picture, mask = _mosaic(photographs, random)
        if number < PICTURES:
            Image.fromarray(mask).save(folder / "masks" / f"{number:03}.png")
        target = folder / ("pictures" if number < PICTURES else TEST_PICTURES) / f"{number:03}.png"
        Image.fromarray(picture).save(target)


def _mosaic(photographs: list[np.ndarray[Any, Any]], random: np.random.Generator) -> tuple[Any, Any]:
    """A picture with two straight borders between crops, and the number of the texture of each pixel."""
    rows, columns = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    sides = []
    for _ in range(2):
        angle, offset = random.uniform(0, 2 * np.pi), random.uniform(-SIZE / 5, SIZE / 5)
        sides.append(rows * np.sin(angle) + columns * np.cos(angle) > offset)
    order = random.permutation(len(photographs))
    mask = np.where(sides[0], order[0], np.where(sides[1], order[1], order[2])).astype(np.uint8)
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    for texture, photograph in enumerate(photographs):
        top, left = random.integers(0, np.array(photograph.shape[:2]) - SIZE + 1)
        crop = photograph[top : top + SIZE, left : left + SIZE]
        picture[mask == texture] = crop[mask == texture]
    return picture, mask


def _mask_of(path: Path) -> Path:
    return path.parents[1] / "masks" / path.name


def _train(folder: Path) -> None:
    from fastai.vision.all import (  # noqa: PLC0415 - slow to import
        CrossEntropyLossFlat,
        IntToFloatTensor,
        Learner,
        SegmentationDataLoaders,
        foreground_acc,
        set_seed,
    )
    from torch import nn  # noqa: PLC0415

    print("Training the learner of mosaics (only the first time; it is cached in .build/mosaics) ...", flush=True)
    write_mosaics(folder)
    set_seed(SEED, reproducible=True)
    loaders = SegmentationDataLoaders.from_label_func(
        folder,
        sorted((folder / "pictures").iterdir()),
        _mask_of,
        codes=TEXTURES,
        batch_tfms=IntToFloatTensor(),
        bs=8,
        num_workers=0,
    )
    widths = [3, 24, 32, 48, 48]
    layers = []
    for level, (before, after) in enumerate(pairwise(widths)):
        step = 2**level
        layers += [nn.Conv2d(before, after, 3, padding=step, dilation=step), nn.BatchNorm2d(after), nn.ReLU()]
    network = nn.Sequential(*layers, nn.Conv2d(widths[-1], len(TEXTURES), 1))
    learn = Learner(loaders, network, loss_func=CrossEntropyLossFlat(axis=1), metrics=foreground_acc, path=folder)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(8, 1e-2)
        _, share = learn.validate()
    learn.export("learner.pkl")
    print(f"Correct pixels of the validation pictures: {share:.0%}.", flush=True)
