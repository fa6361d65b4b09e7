"""fastai's own layers, forward only: what their `forward` computes at inference, on the attributes that they record.

Each class is keyed on the path that fastai gives it; most are torch's containers with another name. The formulas are
fastai's (`fastai/layers.py`, `fastai/tabular/model.py`), the same in 2.0 to 2.8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

LAYERS: dict[str, type[nn.Module]] = {}


def layer(*paths: str) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """Register a class as the one that stands for fastai's class at each of `paths`."""

    def register(cls: type[nn.Module]) -> type[nn.Module]:
        for path in paths:
            if path in LAYERS:
                raise ValueError(f"{path} is registered twice: {LAYERS[path]} and {cls}")
            LAYERS[path] = cls
        return cls

    return register


@layer("fastai.layers.Embedding")
class Embedding(nn.Embedding):
    """An embedding whose weights fastai initialised in another way."""


@layer("fastai.layers.LinBnDrop")
class LinBnDrop(nn.Sequential):
    """Linear, batch norm, dropout and activation, in the order that the version of fastai put them in."""


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
    """Embeddings of the categories, batch-normed numbers, and layers on both."""

    embeds: nn.ModuleList
    emb_drop: nn.Module
    bn_cont: nn.Module | None
    layers: nn.Module
    n_emb: int
    n_cont: int

    def forward(self, x_cat: Tensor | None, x_cont: Tensor | None) -> Any:
        """x_cat int64 [batch, categories], x_cont float32 [batch, numbers]; None for one that the model has none of."""
        parts = []
        if self.n_emb != 0:
            assert x_cat is not None  # noqa: S101 - for the type checker: n_emb says so
            parts.append(torch.cat([embed(x_cat[:, i]) for i, embed in enumerate(self.embeds)], 1))
        if self.n_cont != 0:
            assert x_cont is not None  # noqa: S101 - likewise
            parts.append(x_cont if self.bn_cont is None else self.bn_cont(x_cont))
        return self.layers(torch.cat(parts, 1))
