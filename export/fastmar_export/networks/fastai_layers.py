"""Implementations of fastai's layers for inference: only `forward`, with the attributes that a pickle records.

Each class is registered under the path of fastai's class; most are torch's containers with another name. The formulas
are fastai's (`fastai/layers.py`, `fastai/tabular/model.py`, `fastai/vision/`), and the same in versions 2.0 to 2.8.
Layers that need the input of their container are in `fastai_unet.py`, the networks of collaborative filtering in
`fastai_collab.py`, those of texts in `fastai_text.py`.

`fastai.layers.Lambda` and `PartialLambda` are missing because they run a function of the user, and `Debugger` because
inference does not need it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

LAYERS: dict[str, type[nn.Module]] = {}


def layer(*paths: str) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """Register a class as the implementation of fastai's classes at `paths`."""

    def register(cls: type[nn.Module]) -> type[nn.Module]:
        for path in paths:
            if path in LAYERS:
                raise ValueError(f"{path} is registered twice: {LAYERS[path]} and {cls}")
            LAYERS[path] = cls
        return cls

    return register


class Prepared(nn.Module):
    """A layer that changes its recorded attributes once, after it is rebuilt."""

    def prepare(self, where: str) -> None:
        """Prepare the layer for inference; its children are already prepared.

        Args:
            where: place of the layer in the learner, for messages.
        """
        raise NotImplementedError


@layer("fastai.layers.Embedding")
class Embedding(nn.Embedding):
    """An embedding; fastai only initialises its weights differently."""


@layer("fastai.layers.LinBnDrop")
class LinBnDrop(nn.Sequential):
    """Linear, batch norm, dropout and activation, in the order of the fastai version that trained them."""


@layer("fastai.layers.SigmoidRange")
class SigmoidRange(nn.Module):
    """``sigmoid(x) * (high - low) + low``: a target's `y_range`."""

    low: float
    high: float

    def forward(self, x: Tensor) -> Tensor:
        """[batch, targets] to the same, between low and high."""
        return torch.sigmoid(x) * (self.high - self.low) + self.low


@layer("fastai.tabular.model.TabularModel")
class TabularModel(nn.Module):
    """Embeddings of categories and batch-normalised numbers, followed by layers for both."""

    embeds: nn.ModuleList
    emb_drop: nn.Module
    bn_cont: nn.Module | None
    layers: nn.Module
    n_emb: int
    n_cont: int

    def forward(self, x_cat: Tensor | None, x_cont: Tensor | None = None) -> Any:
        """x_cat int64 [batch, categories], x_cont float32 [batch, numbers]; None if the model has no such columns."""
        parts = []
        if self.n_emb != 0:
            assert x_cat is not None  # noqa: S101 - for the type checker: n_emb is not 0
            parts.append(torch.cat([embed(x_cat[:, i]) for i, embed in enumerate(self.embeds)], 1))
        if self.n_cont != 0:
            assert x_cont is not None  # noqa: S101 - likewise
            parts.append(x_cont if self.bn_cont is None else self.bn_cont(x_cont))
        return self.layers(torch.cat(parts, 1))


# Containers: torch's `forward` with the recorded layers.


@layer(
    "fastai.layers.ConvLayer",
    "fastai.layers.PixelShuffle_ICNR",
    "fastai.layers.PoolFlatten",
    "fastai.layers.SimpleCNN",
    "fastai.vision.models.xresnet.XResNet",
    # Classes of torchvision before 0.9 to 0.13, with a convolution, its norm and its activation.
    "torchvision.models.mobilenet.ConvBNReLU",
    "torchvision.models.mobilenet.ConvBNActivation",
    "torchvision.models.mobilenetv2.ConvBNReLU",
    "torchvision.models.mobilenetv2.ConvBNActivation",
    "torchvision.models.mobilenetv3.ConvBNActivation",
    "torchvision.ops.misc.ConvNormActivation",
)
class PlainSequential(nn.Sequential):
    """A `Sequential` under another name, whose `__init__` selected the recorded layers."""


@layer("fastai.layers.Cat")
class Cat(nn.ModuleList):
    """Concatenates the outputs of all layers for the same input along `dim`."""

    dim: int

    def forward(self, x: Tensor) -> Tensor:
        """[batch, ...] to the same with a longer axis `dim`."""
        return torch.cat([part(x) for part in self], dim=self.dim)


# Shapes.


@layer("fastai.layers.Identity", "fastai.layers.ToTensorBase", "fastai.layers.ParameterModule")
class NoOp(nn.Module):
    """Returns its input; `ToTensorBase` only changes the class of a tensor."""

    def forward(self, x: Tensor) -> Tensor:
        """Any tensor."""
        return x


@layer("fastai.layers.Flatten")
class Flatten(nn.Module):
    """Flattens all axes except the batch axis, or all axes if `full`."""

    full: bool

    def forward(self, x: Tensor) -> Tensor:
        """[batch, ...] to [batch, features]."""
        return x.view(-1) if self.full else x.view(x.size(0), -1)


@layer("fastai.layers.View")
class View(nn.Module):
    """Reshapes a tensor to `size`."""

    size: tuple[int, ...]

    def forward(self, x: Tensor) -> Tensor:
        """Any tensor to one of `size`."""
        return x.view(self.size)


@layer("fastai.layers.ResizeBatch")
class ResizeBatch(nn.Module):
    """Reshapes each item of a batch to `size`."""

    size: tuple[int, ...]

    def forward(self, x: Tensor) -> Tensor:
        """[batch, ...] to [batch, *size]."""
        return x.view((x.size(0), *self.size))


@layer("fastai.layers.BatchNorm1dFlat")
class BatchNorm1dFlat(nn.BatchNorm1d):
    """Batch norm over the last axis, for inputs of more than two axes."""

    def forward(self, input: Tensor) -> Tensor:
        """[..., features] to the same."""
        if input.dim() == 2:
            return super().forward(input)
        return super().forward(input.contiguous().view(-1, input.shape[-1])).view(input.shape)


# Pooling.


@layer("fastai.layers.AdaptiveConcatPool1d", "fastai.layers.AdaptiveConcatPool2d")
class AdaptiveConcatPool(nn.Module):
    """Concatenates the maximum and the mean over all pixels."""

    mp: nn.Module
    ap: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, ...] to [batch, 2 * channels, ...]."""
        return torch.cat([self.mp(x), self.ap(x)], 1)


# Activations. Since torch 1.9, fastai uses torch's Mish and Swish.


@layer("fastai.layers.Mish", "fastai.layers.MishJit")
class Mish(nn.Module):
    """``x * tanh(softplus(x))``."""

    def forward(self, x: Tensor) -> Tensor:
        """Any tensor to one of its shape."""
        return x.mul(torch.tanh(F.softplus(x)))


@layer("fastai.layers.Swish", "fastai.layers.SwishJit")
class Swish(nn.Module):
    """``x * sigmoid(x)``."""

    def forward(self, x: Tensor) -> Tensor:
        """Any tensor to one of its shape."""
        return x.mul(torch.sigmoid(x))


# Blocks.


@layer("fastai.layers.ResBlock")
class ResBlock(nn.Module):
    """Activation of the sum of a convolution path and an identity path."""

    convpath: nn.Module
    idpath: nn.Module
    act: nn.Module

    def forward(self, x: Tensor) -> Any:
        """[batch, channels, height, width]; stride and channels as recorded."""
        return self.act(self.convpath(x) + self.idpath(x))


@layer("fastai.layers.SelfAttention")
class SelfAttention(nn.Module):
    """Attention over all pixels (Zhang et al. 2018), added with the weight `gamma`."""

    query: nn.Module
    key: nn.Module
    value: nn.Module
    gamma: nn.Parameter

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, height, width] to the same."""
        size = x.size()
        x = x.view(*size[:2], -1)
        query, key, value = self.query(x), self.key(x), self.value(x)
        beta = F.softmax(torch.bmm(query.transpose(1, 2), key), dim=1)
        return (self.gamma * torch.bmm(value, beta) + x).view(*size).contiguous()


@layer("fastai.layers.PooledSelfAttention2d")
class PooledSelfAttention2d(nn.Module):
    """Attention over pixels, with keys and values pooled by a factor of two."""

    query: nn.Module
    key: nn.Module
    value: nn.Module
    out: nn.Module
    gamma: nn.Parameter
    n_channels: int

    def forward(self, x: Tensor) -> Any:
        """[batch, channels, height, width] to the same; height and width even."""
        pixels, few, many = x.shape[2] * x.shape[3], self.n_channels // 8, self.n_channels // 2
        query = self.query(x).view(-1, few, pixels)
        key = F.max_pool2d(self.key(x), [2, 2]).view(-1, few, pixels // 4)
        value = F.max_pool2d(self.value(x), [2, 2]).view(-1, many, pixels // 4)
        beta = F.softmax(torch.bmm(query.transpose(1, 2), key), -1)
        seen = torch.bmm(value, beta.transpose(1, 2)).view(-1, many, x.shape[2], x.shape[3])
        return self.gamma * self.out(seen) + x


@layer("fastai.layers.SimpleSelfAttention")
class SimpleSelfAttention(nn.Module):
    """Attention without a softmax.

    `sym` is not needed: fastai makes the weight symmetric, but the spectral norm computes it again afterwards.
    """

    conv: nn.Module
    gamma: nn.Parameter

    def forward(self, x: Tensor) -> Tensor:
        """[batch, channels, ...] to the same."""
        size = x.size()
        x = x.view(*size[:2], -1)
        seen = torch.bmm(torch.bmm(x, x.permute(0, 2, 1).contiguous()), self.conv(x))
        return (self.gamma * seen + x).view(*size).contiguous()


@layer("fastai.vision.learner.TimmBody")
class TimmBody(nn.Module):
    """A timm network without its head: the features before pooling if the head pools, else after pooling."""

    model: Any
    needs_pool: bool

    def forward(self, x: Tensor) -> Any:
        """[batch, channels, height, width] to [batch, features, ...]."""
        return self.model.forward_features(x) if self.needs_pool else self.model(x)
