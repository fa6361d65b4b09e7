"""Losses: which activation turns outputs into predictions, as fastai's `BaseLoss.activation` and `.decodes` have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastmar_export.learner import name_of
from fastmar_export.reader import Record

# fastai kept its losses in fastai.layers before it gave them a file of their own.
_MODULES = ("fastai.losses", "fastai.layers")
_ACTIVATIONS = {
    "CrossEntropyLossFlat": "softmax",
    "FocalLossFlat": "softmax",
    "DiceLoss": "softmax",
    "LabelSmoothingCrossEntropy": "softmax",
    "LabelSmoothingCrossEntropyFlat": "softmax",
    "BCEWithLogitsLossFlat": "sigmoid",
    "BaseLoss": "identity",  # what MSELossFlat(), L1LossFlat() and BCELossFlat() return
}

LOSSES: dict[str, str] = {f"{module}.{name}": act for module in _MODULES for name, act in _ACTIVATIONS.items()}
"""Activation by the path of the loss's class."""


@dataclass(frozen=True, slots=True)
class Activation:
    """How outputs become predictions.

    Attributes:
        name: ``"softmax"``, ``"sigmoid"`` or ``"identity"``.
        threshold: over which a label of several counts as predicted.
        known: False where the loss has none and the user named none; outputs are then answered as they are.
    """

    name: str
    threshold: float = 0.5
    known: bool = True


def activation_of(loss: Any, asked: str | None) -> Activation:
    """The activation of the learner's loss, or the one that the user `asked` for."""
    threshold = loss.get("thresh") if isinstance(loss, Record) else None
    threshold = float(threshold) if isinstance(threshold, int | float) else 0.5
    name = asked or LOSSES.get(name_of(loss))
    return Activation("identity", threshold, known=False) if name is None else Activation(name, threshold)
