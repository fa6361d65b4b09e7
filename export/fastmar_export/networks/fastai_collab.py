"""Implementations of fastai's networks for collaborative filtering, for inference; see `fastai_layers`.

The formulas are those of `fastai/collab.py` in fastai 2.8. Both networks have one argument, the codes of user and item,
where 0 is an unknown one. `item_factors` is the name of the weights
with a row for each code of an item.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from fastmar_export.networks.fastai_layers import TabularModel, layer


@layer("fastai.collab.EmbeddingDotBias")
class EmbeddingDotBias(nn.Module):
    """The dot product of the user's and the item's weights plus both biases, limited to `y_range` if there is one."""

    item_factors: ClassVar[str] = "i_weight.weight"
    u_weight: nn.Module
    i_weight: nn.Module
    u_bias: nn.Module
    i_bias: nn.Module
    y_range: tuple[float, float] | None

    def forward(self, x: Tensor) -> Tensor:
        """int64 [batch, 2] to float32 [batch, 1].

        fastai's output is [batch]. The axis is kept, so that archives of both networks have outputs of the same shape.
        """
        users, items = x[:, 0], x[:, 1]
        dot = (self.u_weight(users) * self.i_weight(items)).sum(1, keepdim=True)
        result: Tensor = dot + self.u_bias(users) + self.i_bias(items)
        if self.y_range is None:
            return result
        low, high = self.y_range
        return torch.sigmoid(result) * (high - low) + low


@layer("fastai.collab.EmbeddingNN")
class EmbeddingNN(TabularModel):
    """A `TabularModel` without numbers: int64 [batch, 2] to float32 [batch, 1]."""

    item_factors: ClassVar[str] = "embeds.1.weight"
