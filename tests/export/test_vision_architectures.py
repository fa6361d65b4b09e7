"""Compares answers of archives with `learn.predict`, for architectures of torchvision, timm and fastai.

The networks are shallow, because the duration of an export depends on the number of layers. FASTMAR_LONG_TESTS=1 adds
the usual networks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastai.callback.progress  # noqa: F401 - gives learners `no_bar`
import numpy as np
import pytest
import torchvision.models as tv
from fastai.vision.augment import Resize, aug_transforms
from fastai.vision.data import ImageDataLoaders
from fastai.vision.learner import model_meta, vision_learner
from fastai.vision.models.xresnet import xresnet18
from PIL import Image
from torch import nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.densenet import DenseNet
from torchvision.models.efficientnet import EfficientNet, MBConvConfig
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3
from torchvision.models.regnet import BlockParams, RegNet
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.models.vgg import VGG, make_layers

from fastmar_export.exporter import Options, export_learner
from fastmar_runtime.predictor import Predictor
from tests.conftest import MEASURED
from tests.export.networks.makers import small_xresnet
from tests.export.pictures import encoded, odd_pictures, pixels

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torchvision.models._utils")  # about fastai's call

TOLERANCE = 1e-4  # of a probability: float32 sums of a deep network in another order


def shallow(make: Callable[[], nn.Module]) -> Callable[..., nn.Module]:
    """An architecture in the form for `vision_learner`."""
    return lambda pretrained=False: make()


def densenet(weights: Any = None) -> nn.Module:
    return DenseNet(8, (2, 2), 16)


model_meta[densenet] = model_meta[tv.densenet121]  # fastai's table with the layer at which a network is cut


def mobilenet() -> nn.Module:
    blocks = ((16, 3, 16, 16, True, "RE", 2, 1, 1.0), (16, 5, 48, 24, True, "HS", 1, 1, 1.0))
    return MobileNetV3([InvertedResidualConfig(*block) for block in blocks], 64)


def regnet() -> nn.Module:
    return RegNet(BlockParams([1, 1], [16, 32], [8, 8], [1.0, 1.0], [2, 2], 0.25))


def efficientnet() -> nn.Module:
    return EfficientNet([MBConvConfig(1, 3, 1, 32, 16, 1, 1.0, 1.0), MBConvConfig(6, 3, 2, 16, 24, 2, 1.0, 1.0)], 0.2)


def convnext() -> nn.Module:
    return ConvNeXt([CNBlockConfig(16, 32, 1), CNBlockConfig(32, None, 1)])


# Architecture, and additional arguments of `vision_learner`.
SHALLOW: dict[str, tuple[Any, dict[str, Any]]] = {
    "ResNet": (shallow(lambda: ResNet(BasicBlock, [1, 1, 1, 1])), {}),
    "DenseNet": (densenet, {}),
    "VGG": (shallow(lambda: VGG(make_layers([8, "M", 16, "M", 16, "M"], batch_norm=True))), {}),
    "SqueezeNet": (tv.squeezenet1_1, {}),
    "MobileNetV3": (shallow(mobilenet), {}),
    "EfficientNet": (shallow(efficientnet), {}),
    "ConvNeXt": (shallow(convnext), {}),
    "RegNet": (shallow(regnet), {}),
    "XResNet": (small_xresnet, {}),
    "timm ResNet": ("test_resnet", {}),
    "timm ConvNeXt": ("convnext_atto", {"depths": (1, 1, 1, 1)}),
    "timm EfficientNet": ("test_efficientnet", {"pad_type": "same"}),
    "timm ViT": ("vit_tiny_patch16_224", {"depth": 2, "img_size": 64}),
}
USUAL: dict[str, tuple[Any, dict[str, Any]]] = {
    "resnet18": (tv.resnet18, {}),
    "resnet34": (tv.resnet34, {}),
    "densenet121": (tv.densenet121, {}),
    "vgg11_bn": (tv.vgg11_bn, {}),
    "mobilenet_v3_small": (tv.mobilenet_v3_small, {}),
    "efficientnet_b0": (tv.efficientnet_b0, {}),
    "convnext_tiny": (tv.convnext_tiny, {}),
    "regnet_y_400mf": (tv.regnet_y_400mf, {}),
    "xresnet18": (xresnet18, {}),
    "timm resnet10t": ("resnet10t", {}),
    "timm convnext_atto": ("convnext_atto", {}),
    "timm efficientnet_lite0": ("tf_efficientnet_lite0", {}),
    "timm vit_tiny": ("vit_tiny_patch16_224", {}),
}
ARCHITECTURES = SHALLOW | (USUAL if os.environ.get("FASTMAR_LONG_TESTS") else {})
PICTURES = ("portrait", "landscape", "grey", "rgba", "cmyk")


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
def test_answers_equal_fastai(name: str, pictures: Path, tmp_path: Path, record_property: Any) -> None:
    architecture, options = ARCHITECTURES[name]
    size = 224 if name == "timm vit_tiny" else 64
    loaders = ImageDataLoaders.from_folder(
        pictures, valid_pct=0.2, seed=0, item_tfms=Resize(size), batch_tfms=aug_transforms(), bs=8, num_workers=0
    )
    learn = vision_learner(loaders, architecture, pretrained=False, **options)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-4)  # so that batch norms have seen pictures
        learn.export(tmp_path / "learner.pkl")
        predictor = Predictor.open(export_learner(tmp_path / "learner.pkl", Options("model", output=tmp_path)).path)
        inputs = [odd_pictures()[kind] for kind in PICTURES]
        largest = 0.0
        for data, answer in zip(inputs, predictor.predict(inputs), strict=True):
            label, _, probabilities = learn.predict(data)
            assert answer["prediction"] == str(label)
            ours = np.array(list(answer["probabilities"].values()))
            largest = max(largest, float(np.abs(ours - probabilities.numpy()).max()))
    record_property(MEASURED, largest)
    assert largest <= TOLERANCE
