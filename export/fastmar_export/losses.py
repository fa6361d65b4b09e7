"""Losses: which activation turns outputs into predictions, as fastai's `BaseLoss.activation` and `.decodes` have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fastmar_export.errors import UnsupportedLoss
from fastmar_export.learner import name_of
from fastmar_export.members import written_members
from fastmar_export.reader import Record
from fastmar_export.reader.records import is_written_out

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

# Classes without `activation` and `decodes`: fastai then takes the outputs as they are.
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
        threshold: over which a label of several counts as predicted, or one for each label; None where the loss has
            none.
        known: False where the loss has no activation and the user named none: outputs are then answered as they are,
            which is what fastai does too.
    """

    name: str
    threshold: float | list[float] | None = None
    known: bool = True


def activation_of(loss: Any, asked: str | None) -> Activation:
    """The activation of the learner's loss, or the one that the user `asked` for.

    Raises:
        UnsupportedLoss: the loss may have an activation of its own, which is code and not data.
    """
    path = name_of(loss)
    threshold = _threshold(loss, path)
    if path in LOSSES:
        _refuse_changed(loss, path)
        if asked not in (None, LOSSES[path]):
            raise UnsupportedLoss(
                path,
                why=f"which tells that its activation is {LOSSES[path]}, not {asked}",
                fix="leave --activation out.",
            )
        return Activation(LOSSES[path], threshold)
    if asked is not None:
        return Activation(asked, threshold)
    if isinstance(loss, Record) and not _is_plain(loss, path):
        raise UnsupportedLoss(path, why="a class that may have an activation of its own")
    return Activation("identity", threshold, known=False)


def _threshold(loss: Any, path: str) -> float | list[float] | None:
    value = loss.get("thresh") if isinstance(loss, Record) else None
    if isinstance(value, np.generic | np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, torch.Tensor) and value.numel() == 1:
        value = value.item()  # what a search for the best threshold leaves
    if isinstance(value, torch.Tensor) and value.ndim == 1 and not value.is_complex():
        return [float(each) for each in value.tolist()]
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise UnsupportedLoss(
        path,
        why=f"whose threshold is {type(value).__name__}, with which learn.predict fails",
        fix="set learn.loss_func.thresh to one number, or to a torch tensor with a number for each label, and export "
        "the learner again.",
    )


def _refuse_changed(loss: Any, path: str) -> None:
    """Methods on the instance, and an axis other than that of the labels, compute something else."""
    replaced = [name for name in _METHODS if isinstance(loss, Record) and name in loss.attrs]
    if replaced:
        why = f"whose `{replaced[0]}` was replaced by code of yours"
        raise UnsupportedLoss(path, why=why, fix="put the original loss back, and export the learner again.")
    if isinstance(loss, Record) and loss.get("axis", -1) not in (-1, 1):
        raise UnsupportedLoss(
            path,
            why=f"with axis {loss.get('axis')}, across the records of a batch",
            fix="set learn.loss_func.axis = -1 (1 for masks), and export the learner again.",
        )


def _is_plain(loss: Record, path: str) -> bool:
    """Whether it is seen that the loss has neither `activation` nor `decodes`: fastai then leaves outputs alone."""
    if any(name in loss.attrs for name in _METHODS):
        return False
    if path.startswith(_PLAIN_PACKAGES) or path in _PLAIN_CLASSES or (not loss.is_instance and is_written_out(loss)):
        return True
    members = written_members(loss, known=_PLAIN_BASES)
    return members is not None and not members & {*_METHODS, "__getattr__"}
