"""Compares answers of archives with `learn.tta`, whose random numbers are replaced by those of the export.

All randomness of fastai's transforms is in Python's `random` if they have ``batch=True``, so the learners are ordinary
ones, and fastai's own code draws and applies the augmentations.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastai.callback.progress  # noqa: F401 - gives learners `no_bar`
import numpy as np
import pytest
from fastai.data.block import CategoryBlock, MultiCategoryBlock, RegressionBlock
from fastai.vision import augment
from fastai.vision.augment import (
    Brightness,
    DeterministicFlip,
    Dihedral,
    RandomCrop,
    RandomResizedCrop,
    RandTransform,
    Resize,
    aug_transforms,
)
from fastai.vision.core import PILImage, PILImageBW
from fastai.vision.learner import vision_learner
from hypothesis import given
from hypothesis.strategies import floats, integers, lists, tuples

from fastmar_export.exporter import Options, export_learner
from fastmar_export.modalities.vision.augmentation.draws import Draws
from fastmar_runtime.geometry import Geometry
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.steps import DecodedPicture, load_step
from tests.export.pictures import Case, Config, _normalize, make_learner, odd_pictures, pixels, small_learner

TOLERANCE = 1e-4  # float32 sums of a deep network in another order
PICTURES = ("portrait", "landscape", "rgba", "palette", "cmyk", "long")


@dataclass
class Tta:
    """A learner, and the arguments of `learn.tta`."""

    case: Case
    arguments: dict[str, Any] = field(default_factory=dict)


def label(path: Path) -> str:
    return path.name[:3]


CASES = {
    "one label": Tta(
        Case(
            CategoryBlock,
            label,
            Config([Resize(64)], [*aug_transforms(batch=True), _normalize()]),
            make=vision_learner,
        ),
        {"n": 4},
    ),
    "several labels": Tta(
        Case(
            MultiCategoryBlock,
            lambda path: [path.name[:3]],
            Config([RandomResizedCrop(64, min_scale=0.3)], [*aug_transforms(batch=True, flip_vert=True), _normalize()]),
            make=small_learner,
        ),
        {"n": 5, "beta": 0.5},
    ),
    "numbers": Tta(
        Case(
            RegressionBlock(n_out=3),
            lambda path: [1.0, 2.0, 3.0],
            Config(
                [Resize((96, 80))], [*aug_transforms(batch=True, size=40, mult=2.0, pad_mode="zeros"), _normalize()]
            ),
            make=small_learner,
        ),
        {"n": 3},
    ),
    "grey": Tta(
        Case(
            CategoryBlock,
            label,
            Config([Resize(80, method="pad"), RandomCrop(64)], [Dihedral(batch=True), _normalize(1)], PILImageBW),
            {"n_in": 1},
            small_learner,
        ),
        {"n": 8, "use_max": True},
    ),
    "crops in the graph": Tta(
        Case(
            CategoryBlock,
            label,
            Config([Resize(128)], [*aug_transforms(batch=True, size=64, min_scale=0.5), _normalize()]),
            make=small_learner,
        ),
        {"n": 4, "beta": 0.0},
    ),
    "flips and light": Tta(
        Case(
            CategoryBlock,
            label,
            Config([Resize(64, method="squish")], [DeterministicFlip(), Brightness(batch=True), _normalize()]),
            make=small_learner,
        ),
        {"n": 2},
    ),
}


def tta(learn: Any, pictures: list[bytes], monkeypatch: pytest.MonkeyPatch, n: int, **arguments: Any) -> np.ndarray:
    """`learn.tta` for each picture, with the numbers of `Draws` in place of random ones."""
    original = RandTransform.__call__

    def call(self: Any, batch: Any, split_idx: int | None = None, **others: Any) -> Any:
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        monkeypatch.setattr(augment, "random", Draws(learn.epoch, n, path) if split_idx == 0 else random)
        return original(self, batch, split_idx=split_idx, **others)

    monkeypatch.setattr(RandTransform, "__call__", call)
    for transform in learn.dls.valid.after_batch.fs:
        if isinstance(transform, DeterministicFlip):
            transform.aff_fs[0].keywords["draw"].count = -1  # it has counted the batches of the training
    with learn.no_bar(), learn.no_logging():
        loader = learn.dls.test_dl(pictures, bs=len(pictures), num_workers=0)
        predictions, _ = learn.tta(dl=loader, n=n, **arguments)
    return predictions.numpy()


def drawn_crop(transform: RandTransform, image: Any, draws: list[float]) -> Any:
    """fastai's transform in training, with `draws` in place of random numbers."""
    numbers = iter(draws)
    fixed = Draws(0, 1, "")
    fixed.random = lambda: next(numbers)  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(augment, "random", fixed)
        return transform(image, split_idx=0)


@given(
    size=tuples(integers(8, 90), integers(8, 90)),  # so that no crop is empty
    draws=lists(floats(0, 1, exclude_max=True), min_size=22, max_size=22),
    scale=tuples(floats(0.1, 1), floats(0.1, 1)).map(sorted),
    ratio=tuples(floats(0.2, 5), floats(0.2, 5)).map(sorted),
)
def test_drawn_crops_equal_fastai(
    size: tuple[int, int], draws: list[float], scale: list[float], ratio: list[float]
) -> None:
    image = PILImage.create(pixels(*size))
    resize = {"size": [20, 10], "resample": 2}
    cases = [
        (Resize((10, 20)), {**resize, "step": "resize", "method": "crop", "pad_mode": "reflection"}),
        (Resize((10, 20), "pad", "zeros"), {**resize, "step": "resize", "method": "pad", "pad_mode": "zeros"}),
        (RandomCrop((10, 20)), {"step": "random_crop", "size": [20, 10]}),
        (
            RandomResizedCrop((10, 20), min_scale=scale[0], max_scale=scale[1], ratio=ratio),
            {**resize, "step": "random_resized_crop", "val_xtra": 0.14, "scale": scale, "ratio": ratio},
        ),
    ]
    for transform, state in cases:
        count = 22 if state["step"] == "random_resized_crop" else 2
        step = load_step({**state, "draws": draws[:count]})
        ours = step(DecodedPicture(image, Geometry(size, size))).image
        assert np.array_equal(np.asarray(ours), np.asarray(drawn_crop(transform, image, draws)))


@pytest.mark.parametrize("name", CASES)
def test_answers_equal_tta(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any) -> None:
    case = CASES[name]
    learn = make_learner(case.case, tmp_path / "pictures")
    learn.export(tmp_path / "learner.pkl")
    options = {("tta" if key == "n" else f"tta_{key}"): value for key, value in case.arguments.items()}
    result = export_learner(tmp_path / "learner.pkl", Options("model", output=tmp_path, **options))
    predictor = Predictor.open(result.path)
    pictures = [odd_pictures()[kind] for kind in PICTURES]
    answers = predictor.predict(pictures)
    theirs = tta(learn, pictures, monkeypatch, **case.arguments)
    ours = [list(a["probabilities"].values()) if "probabilities" in a else a["prediction"] for a in answers]
    largest = float((np.abs(np.array(ours) - theirs) / np.maximum(1.0, np.abs(theirs))).max())
    assert largest <= TOLERANCE
    record_property("largest difference", largest)
    alone = [predictor.predict([picture])[0] for picture in pictures]
    for one, together in zip(alone, answers, strict=True):
        assert one.get("probabilities", one["prediction"]) == pytest.approx(
            together.get("probabilities", together["prediction"]), abs=1e-5
        )
