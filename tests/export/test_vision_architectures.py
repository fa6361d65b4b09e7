"""Answers of an archive against `learn.predict`, architecture by architecture: torchvision's, timm's and fastai's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fastai.callback.progress  # noqa: F401 - gives learners `no_bar`
import numpy as np
import pytest
import torchvision.models as tv
from fastai.vision.augment import Resize, aug_transforms
from fastai.vision.data import ImageDataLoaders
from fastai.vision.learner import vision_learner
from fastai.vision.models.xresnet import xresnet18
from PIL import Image

from fastmar_export.exporter import Options, export_learner
from fastmar_runtime.predictor import Predictor
from tests.conftest import MEASURED
from tests.export.pictures import encoded, odd_pictures, pixels

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torchvision.models._utils")  # of how fastai calls it

TOLERANCE = 1e-4  # of a probability: float32 sums of a deep network in another order

ARCHITECTURES: dict[str, tuple[Any, int]] = {
    "resnet18": (tv.resnet18, 64),
    "resnet34": (tv.resnet34, 64),
    "densenet121": (tv.densenet121, 64),
    "vgg11_bn": (tv.vgg11_bn, 64),
    "squeezenet1_1": (tv.squeezenet1_1, 64),
    "mobilenet_v3_small": (tv.mobilenet_v3_small, 64),
    "efficientnet_b0": (tv.efficientnet_b0, 64),
    "convnext_tiny": (tv.convnext_tiny, 64),
    "regnet_y_400mf": (tv.regnet_y_400mf, 64),
    "xresnet18": (xresnet18, 64),
    "timm resnet10t": ("resnet10t", 64),
    "timm convnext_atto": ("convnext_atto", 64),
    "timm efficientnet_lite0": ("tf_efficientnet_lite0", 64),
    "timm vit_tiny": ("vit_tiny_patch16_224", 224),
}
ASKED = ("portrait", "landscape", "grey", "rgba", "cmyk")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for label in ("a", "b", "c"):
        (folder / label).mkdir()
        for number in range(8):
            picture = Image.fromarray(pixels(90 + number, 70, seed=number + 10 * ord(label)))
            (folder / label / f"{number}.png").write_bytes(encoded(picture))
    return folder


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_answers_are_fastais(name: str, pictures: Path, tmp_path: Path, record_property: Any) -> None:
    architecture, size = ARCHITECTURES[name]
    loaders = ImageDataLoaders.from_folder(
        pictures, valid_pct=0.2, seed=0, item_tfms=Resize(size), batch_tfms=aug_transforms(), bs=8, num_workers=0
    )
    learn = vision_learner(loaders, architecture, pretrained=False)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-4)  # so that batch norms have seen pictures
        learn.export(tmp_path / "learner.pkl")
        predictor = Predictor.open(export_learner(tmp_path / "learner.pkl", Options("model", output=tmp_path)).path)
        asked = [odd_pictures()[kind] for kind in ASKED]
        largest = 0.0
        for data, answer in zip(asked, predictor.predict(asked), strict=True):
            label, _, probabilities = learn.predict(data)
            assert answer["prediction"] == str(label)
            ours = np.array(list(answer["probabilities"].values()))
            largest = max(largest, float(np.abs(ours - probabilities.numpy()).max()))
    record_property(MEASURED, largest)
    assert largest <= TOLERANCE
