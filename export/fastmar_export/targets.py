"""Targets: what is predicted, from the learner's target transforms and its loss, as the state of a decoder."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fastmar_export.errors import ParityFailed, UnsupportedTransform
from fastmar_export.learner import listed, name_of
from fastmar_export.losses import activation_of
from fastmar_export.plain import NotPlain, plain
from fastmar_export.reader import Record

CATEGORIZE = "fastai.data.transforms.Categorize"
REGRESSION = "fastai.data.transforms.RegressionSetup"
MULTI = ("fastai.data.transforms.MultiCategorize", "fastai.data.transforms.EncodedMultiCategorize")

TARGET_TRANSFORMS = (CATEGORIZE, REGRESSION, *MULTI)
"""Transforms of targets: they run in training, and name the answers."""

State = dict[str, Any]
Notice = dict[str, Any]


def decoder_state(
    transforms: list[Record], names: list[str], loss: Any, size: int, asked: str | None
) -> tuple[State, list[Notice]]:
    """The decoder's state, and what a caller should know of it.

    Args:
        transforms: of the targets, out of `TARGET_TRANSFORMS`.
        names: of the targets.
        loss: record of the loss.
        size: number of the network's outputs for a record.
        asked: activation that the user named, or None.

    Raises:
        UnsupportedTransform: several category targets at once, or labels that JSON can't carry.
        ParityFailed: the network has another number of outputs than there are labels.
    """
    activation = activation_of(loss, asked)
    notices = [] if activation.known or _is_regression(transforms) else [_raw_notice(loss)]
    categorize = [t for t in transforms if t.path == CATEGORIZE]
    if len(categorize) > 1 or (categorize and len(names) > 1):
        raise UnsupportedTransform(
            "the targets", CATEGORIZE, why="once for several targets, with which fastai can't predict"
        )
    if not activation.known and not _is_regression(transforms):
        return {"decoder": "raw"}, notices
    if categorize and activation.name == "softmax":
        vocab = _vocab(categorize[0], size)
        return {"decoder": "category", "activation": "softmax", "vocab": vocab}, notices
    multi = [t for t in transforms if t.path in MULTI]
    if multi:
        vocab = _vocab(multi[0], size)
        state = {"decoder": "multi_category", "activation": activation.name, "threshold": activation.threshold}
        return {**state, "vocab": vocab}, notices
    if categorize:
        return {"decoder": "raw"}, [_raw_notice(loss)]
    if activation.name == "softmax":  # classes that were numbered by hand: their numbers are their labels
        return {"decoder": "category", "activation": "softmax", "vocab": list(range(size))}, notices
    return {"decoder": "regression", "activation": activation.name, "size": size}, notices


def _is_regression(transforms: list[Record]) -> bool:
    return all(t.path == REGRESSION for t in transforms)


def _vocab(transform: Record, size: int) -> list[Any]:
    try:
        vocab = [plain(item) for item in listed(transform.get("vocab"))]
    except NotPlain as error:
        raise UnsupportedTransform("a target", transform.path, why=f"whose labels hold {error}") from error
    if len(vocab) != size:
        raise ParityFailed(
            f"the network has {size} outputs for {len(vocab)} labels.",
            fix="train the learner with the network that belongs to its data, and export it again.",
        )
    labels = [item["timestamp"] if isinstance(item, dict) else item for item in vocab]
    twice = [text for text, count in Counter(map(str, labels)).items() if count > 1]
    if twice:
        raise UnsupportedTransform(
            "a target",
            transform.path,
            why=f"which has two labels that are written {twice[0]!r}",
            fix="train with labels of one type.",
        )
    return labels


def _raw_notice(loss: Any) -> Notice:
    return {
        "field": None,
        "code": "raw_outputs",
        "message": f"the loss {name_of(loss)} has no activation that fastmar knows: answers are the network's raw "
        "outputs, as learn.predict's are. Export with --activation softmax (or sigmoid) for probabilities.",
    }
