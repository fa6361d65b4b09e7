"""Small picture learners, trained in seconds on generated pictures."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

COLOURS = {"blue": (40, 60, 200), "green": (50, 180, 60), "red": (200, 50, 40)}
SIZE = 48
CODES = ["ground", "thing"]


def picture(colour: str, seed: int, size: tuple[int, int] = (80, 60)) -> Image.Image:
    """A noisy picture of a colour."""
    random = np.random.default_rng(seed)
    pixels = random.normal(COLOURS[colour], 40, (size[1], size[0], 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def file_of(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The bytes of a picture file."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def make_learner(folder: Path, kind: str = "label") -> Any:
    """A fastai learner that predicts a label, a mask or two points. Its pictures are written to `folder`."""
    import torch
    from fastai.vision.all import (
        CategoryBlock,
        CrossEntropyLossFlat,
        DataBlock,
        ImageBlock,
        IndexSplitter,
        Learner,
        MaskBlock,
        MSELossFlat,
        PointBlock,
        Resize,
        get_image_files,
        set_seed,
    )

    pictures_in(folder)
    target, get_y, loss, network = {
        "label": (CategoryBlock, label_of, CrossEntropyLossFlat(), _classifier(len(COLOURS))),
        "mask": (MaskBlock(CODES), mask_of, CrossEntropyLossFlat(axis=1), torch.nn.Conv2d(3, 2, 1)),
        "points": (PointBlock, points_of, MSELossFlat(), _classifier(4)),
    }[kind]
    block = DataBlock(
        blocks=(ImageBlock, target),
        get_items=get_image_files,
        get_y=get_y,
        splitter=IndexSplitter(range(6)),
        item_tfms=Resize(SIZE),
    )
    set_seed(7, reproducible=True)
    learn = Learner(block.dataloaders(folder, bs=8, num_workers=0), torch.nn.Sequential(network), loss_func=loss)
    with learn.no_bar(), learn.no_logging():
        learn.fit(8, 0.02)
    return learn


def pictures_in(folder: Path, count: int = 30) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        colour = list(COLOURS)[number % len(COLOURS)]
        picture(colour, number).save(folder / f"{colour}-{number}.png")


def label_of(path: Path) -> str:
    return path.name.partition("-")[0]


def mask_of(path: Path) -> Any:
    with Image.open(path) as image:
        return (np.asarray(image)[..., 0] > 128).astype(np.uint8)


def points_of(path: Path) -> Any:
    return [[10, 20], [40, 50]]


def _classifier(outputs: int) -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, 2, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, outputs),
    )
