"""Losses: the activation that turns outputs into predictions, as in fastai's `BaseLoss.activation` and `.decodes`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fastmar_export.class_members import defined_members
from fastmar_export.errors import UnsupportedLoss
from fastmar_export.learner import name_of
from fastmar_export.reader import Record
from fastmar_export.reader.records import is_pickled_by_value

# Older versions of fastai have their losses in fastai.layers.
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

# Classes without `activation` and `decodes`, for which fastai returns the outputs unchanged.
_PLAIN_PACKAGES = ("torch.nn.modules.",)
_PLAIN_CLASSES = frozenset([*(f"{module}.FocalLoss" for module in _MODULES), "functools.partial"])
_PLAIN_BASES = (
    *("torch.nn.modules.module.Module", "torch.nn.modules.loss._Loss", "torch.nn.modules.loss._WeightedLoss"),
    *("fastai.torch_core.Module", "builtins.object"),
)
_METHODS = ("activation", "decodes")


@dataclass(frozen=True, slots=True)
class Activation:
    """How outputs become predictions.

    Attributes:
        name: ``"softmax"``, ``"sigmoid"`` or ``"identity"``.
        threshold: above which a label counts as predicted in multi-label models, or one threshold for each label; None
            if the loss has no threshold.
        known: False if neither the loss nor the user specifies an activation; answers are then the raw outputs, as in
            fastai.
    """

    name: str
    threshold: float | list[float] | None = None
    known: bool = True


def activation_of(loss: Any, requested: str | None) -> Activation:
    """The activation of the learner's loss, or the one that the user requested.

    Raises:
        UnsupportedLoss: the loss may define its own activation, which is code that can't be exported.
    """
    path = name_of(loss)
    threshold = _threshold(loss, path)
    if path in LOSSES:
        _refuse_changed(loss, path)
        if requested not in (None, LOSSES[path]):
            raise UnsupportedLoss(
                path,
                why=f"whose activation is {LOSSES[path]}, not {requested}",
                fix="remove --activation.",
                code="activation_conflict",
            )
        return Activation(LOSSES[path], threshold)
    if requested is not None:
        return Activation(requested, threshold)
    if isinstance(loss, Record) and not _is_plain(loss, path):
        raise UnsupportedLoss(path, why="a class that may define its own activation", code="unknown_activation")
    return Activation("identity", threshold, known=False)


def _threshold(loss: Any, path: str) -> float | list[float] | None:
    value = loss.get("thresh") if isinstance(loss, Record) else None
    if isinstance(value, np.generic | np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()  # a search for the best threshold results in a tensor
    if isinstance(value, torch.Tensor) and value.ndim == 1 and not value.is_complex():
        return [float(each) for each in value.tolist()]
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise UnsupportedLoss(
        path,
        why=f"whose threshold is a {type(value).__name__}, with which learn.predict fails",
        fix="set learn.loss_func.thresh to one number, or to a torch tensor with a number for each label, and export "
        "the learner again.",
        code="invalid_threshold",
    )


def _refuse_changed(loss: Any, path: str) -> None:
    """Refuse replaced methods, and an axis other than the axis of the labels."""
    replaced = [name for name in _METHODS if isinstance(loss, Record) and name in loss.attrs]
    if replaced:
        raise UnsupportedLoss(
            path,
            why=f"whose method `{replaced[0]}` was replaced",
            fix="restore the original loss, and export the learner again.",
            code="loss_method_replaced",
        )
    if isinstance(loss, Record) and loss.get("axis", -1) not in (-1, 1):
        raise UnsupportedLoss(
            path,
            why=f"with axis {loss.get('axis')}, across the records of a batch",
            fix="set learn.loss_func.axis = -1 (1 for masks), and export the learner again.",
            code="loss_axis",
        )


def _is_plain(loss: Record, path: str) -> bool:
    """Whether the loss certainly has no `activation` and no `decodes`, so that fastai returns the outputs unchanged."""
    if any(name in loss.attrs for name in _METHODS):
        return False
    if (
        path.startswith(_PLAIN_PACKAGES)
        or path in _PLAIN_CLASSES
        or (not loss.is_instance and is_pickled_by_value(loss))
    ):
        return True
    members = defined_members(loss, known=_PLAIN_BASES)
    return members is not None and not members & {*_METHODS, "__getattr__"}
