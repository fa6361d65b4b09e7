"""Learners with the usual network architectures, and weights with which outputs depend on all inputs."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision.models as tv
from fastai.layers import (
    AdaptiveAvgPool,
    Cat,
    ConvLayer,
    Flatten,
    MaxPool,
    MergeLayer,
    NormType,
    PooledSelfAttention2d,
    ResBlock,
    ResizeBatch,
    SequentialEx,
    SimpleCNN,
    SimpleSelfAttention,
    SwishJit,
    View,
)
from fastai.learner import Learner
from fastai.vision.learner import unet_learner, vision_learner
from fastai.vision.models.xresnet import XResNet, xresnet18, xse_resnext18
from torch import nn
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vision_transformer import VisionTransformer

from fastmar_export.learner import open_learner
from fastmar_export.reader import read_learner_file

LOSS = nn.CrossEntropyLoss()


@dataclass(frozen=True)
class Net:
    """A network.

    Attributes:
        make: makes a learner from loaders.
        channels, size: of its pictures.
        quick: whether its export is fast.
    """

    make: Callable[[Any], Learner]
    channels: int = 3
    size: tuple[int, int] = (64, 64)
    quick: bool = False


def vision(arch: Any, **options: Any) -> Callable[[Any], Learner]:
    return lambda dls: vision_learner(dls, arch, pretrained=False, loss_func=LOSS, **options)


def unet(arch: Any = tv.resnet18, **options: Any) -> Callable[[Any], Learner]:
    return lambda dls: unet_learner(dls, arch, pretrained=False, n_out=3, loss_func=LOSS, **options)


def whole(network: Callable[[], nn.Module]) -> Callable[[Any], Learner]:
    return lambda dls: Learner(dls, network(), loss_func=LOSS)


def small_xresnet(pretrained: bool = False) -> nn.Module:
    return XResNet(ResBlock, 1, [1, 1], widen=0.25, act_cls=nn.Mish, stem_szs=(8, 8, 64))


def layers_of_fastai() -> nn.Module:
    return nn.Sequential(
        ConvLayer(3, 16, act_cls=SwishJit),
        PooledSelfAttention2d(16),
        SimpleSelfAttention(16, sym=True),
        MaxPool(),
        SequentialEx(ConvLayer(16, 16, norm_type=NormType.Instance), MergeLayer(), ConvLayer(16, 16), MergeLayer(True)),
        Cat([ConvLayer(32, 8, norm_type=NormType.Weight), ConvLayer(32, 4, norm_type=NormType.Spectral)]),
        AdaptiveAvgPool(2),
        ResizeBatch(48),
        View(-1, 6, 8),
        nn.Linear(8, 8),
        Flatten(),
        nn.Linear(48, 3),
    )


def layers_of_torch() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.PReLU(), nn.GroupNorm(2, 8), nn.AvgPool2d(8), nn.Flatten(), nn.Linear(512, 3)
    )


HEAD = {"lin_ftrs": [64, 32], "ps": [0.1, 0.2, 0.3], "concat_pool": False, "first_bn": False}

NETS: dict[str, Net] = {
    "resnet18": Net(vision(tv.resnet18), quick=True),
    "resnet34": Net(vision(tv.resnet34)),
    "resnet18, one channel": Net(vision(tv.resnet18, n_in=1), channels=1),
    "resnet18, mean pooling, three linear layers": Net(vision(tv.resnet18, **HEAD, y_range=(-1, 1))),
    "resnet18, linear first, last batch norm": Net(vision(tv.resnet18, lin_first=True, bn_final=True)),
    "xresnet18": Net(vision(xresnet18)),
    "xresnet18 with attention": Net(whole(lambda: xresnet18(n_out=3, sa=True, act_cls=nn.Mish))),
    "xse_resnext18": Net(whole(lambda: xse_resnext18(n_out=3))),
    "small xresnet18": Net(vision(small_xresnet, cut=-4)),
    "densenet121": Net(vision(tv.densenet121)),
    "vgg11_bn": Net(vision(tv.vgg11_bn)),
    "alexnet": Net(vision(tv.alexnet)),
    "squeezenet1_1": Net(vision(tv.squeezenet1_1), quick=True),
    "mobilenet_v2": Net(whole(lambda: tv.mobilenet_v2(num_classes=3))),
    "mobilenet_v3_small": Net(vision(tv.mobilenet_v3_small)),
    "efficientnet_b0": Net(vision(tv.efficientnet_b0)),
    "convnext_tiny": Net(vision(tv.convnext_tiny)),
    "regnet_y_400mf": Net(vision(tv.regnet_y_400mf)),
    "shufflenet_v2_x0_5": Net(whole(lambda: tv.shufflenet_v2_x0_5(num_classes=3))),
    "small vision transformer": Net(whole(lambda: VisionTransformer(64, 16, 2, 2, 32, 64, num_classes=3)), quick=True),
    "small swin": Net(whole(lambda: SwinTransformer([4, 4], 16, [2, 2], [2, 4], [4, 4], num_classes=3))),
    "timm resnet10t": Net(vision("resnet10t")),
    "timm convnext_atto": Net(vision("convnext_atto"), quick=True),
    "timm efficientnet_lite0": Net(vision("efficientnet_lite0")),
    "timm tf_efficientnet_lite0": Net(vision("tf_efficientnet_lite0")),
    "timm vit_tiny": Net(vision("vit_tiny_patch16_224", img_size=64)),
    "timm regnetx_002": Net(vision("regnetx_002")),
    "timm resnest14d": Net(vision("resnest14d")),
    "unet resnet18": Net(unet()),
    "unet resnet18, odd size": Net(unet(), size=(70, 90)),
    "unet resnet18, attention and blur": Net(unet(self_attention=True, blur=True)),
    "unet resnet18, weight norm": Net(unet(norm_type=NormType.Weight)),
    "unet resnet18, spectral norm, range": Net(unet(norm_type=NormType.Spectral, y_range=(0, 1))),
    "small unet": Net(unet(small_xresnet, cut=-4, self_attention=True, blur=True), quick=True),
    "fastai's layers": Net(whole(layers_of_fastai), quick=True),
    "fastai's simple network": Net(whole(lambda: nn.Sequential(SimpleCNN([3, 8, 8]), nn.Linear(8, 3)))),
    "torch's layers": Net(whole(layers_of_torch), quick=True),
}


def make_learner(net: Net, loaders: Any, seed: int = 0) -> Learner:
    """A learner whose batch norms match its random weights, and whose parameters are not at initial values such as 0.

    Otherwise outputs could be very large, or independent of the input.
    """
    torch.manual_seed(seed)
    learn = net.make(loaders)
    randomise(learn.model)
    with torch.no_grad():
        learn.model.train()
        for _ in range(2):
            learn.model(pictures(net, 6))
    learn.model.eval()
    return learn


def randomise(network: nn.Module) -> None:
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm | nn.GroupNorm | nn.LayerNorm):
            layer.momentum = None  # the mean over all batches
            if layer.weight is not None:
                layer.weight.data.uniform_(0.8, 1.2)
                layer.bias.data.normal_(0, 0.1)
        for name, weights in layer.named_parameters(recurse=False):
            if name in ("gamma", "layer_scale"):
                weights.data.uniform_(0.002, 0.2 if name == "layer_scale" else 0.008)
            elif not weights.detach().any():
                weights.data.normal_(0, 0.1)


def pictures(net: Net, count: int) -> torch.Tensor:
    """float32 [count, channels, height, width], with different brightness."""
    return torch.rand(count, net.channels, *net.size) * torch.rand(count, net.channels, 1, 1)


def answer(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network(x.clone()).as_subclass(torch.Tensor)


def recorded(learn: Learner, folder: Path, plain: bool = False) -> Any:
    """The record of the network in the file of `learn.export`; `plain` uses pickle, as fastai before 2.8."""
    path = folder / "learner.pkl"
    learn.export(path, **({"pickle_module": pickle} if plain else {}))
    model = open_learner(read_learner_file(path).root).model
    path.unlink()
    return model
