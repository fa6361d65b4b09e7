"""Targets: the decoder's state, from the learner's target transforms and its loss."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fastmar_export.conversion import State, model_notice
from fastmar_export.errors import ParityFailed, UnsupportedLoss, UnsupportedTransform
from fastmar_export.learner import as_list, name_of
from fastmar_export.losses import LOSSES, activation_of
from fastmar_export.plain import NotPlain, plain
from fastmar_export.reader import Record

CATEGORIZE = "fastai.data.transforms.Categorize"
REGRESSION = "fastai.data.transforms.RegressionSetup"
MULTI = ("fastai.data.transforms.MultiCategorize", "fastai.data.transforms.EncodedMultiCategorize")

TARGET_TRANSFORMS = (CATEGORIZE, REGRESSION, *MULTI)
"""Transforms of targets, which run in training and contain the labels."""

_FIX_LABELS = "train with labels that are all strings, or all numbers."
THRESHOLD = 0.5  # fastai's default

MAX_PROBABILITIES = 100
TOP_K = 10
"""Number of probabilities in an answer of a model with more than `MAX_PROBABILITIES` labels."""

Notice = dict[str, Any]


def target_name(transforms: list[Any]) -> str:
    """The name of a target by its transforms, for learners whose data blocks record no name."""
    paths = [name_of(t) for t in transforms]
    if any(path in MULTI for path in paths):
        return "labels"
    return "label" if CATEGORIZE in paths else "value"


def decoder_state(
    transforms: list[Record], names: list[str], loss: Any, size: int, requested: str | None
) -> tuple[State, list[Notice]]:
    """The decoder's state, and notices about it.

    Args:
        transforms: records of the targets' transforms, all in `TARGET_TRANSFORMS`.
        names: names of the targets.
        loss: record of the loss.
        size: number of the network's outputs for one record.
        requested: activation that the user requested, or None.

    Raises:
        UnsupportedTransform: there are several category targets, or labels without a JSON type.
        ParityFailed: the number of the network's outputs differs from the number of labels.
    """
    state, notices = _state(transforms, names, loss, size, requested)
    if len(state.get("vocab", ())) > MAX_PROBABILITIES:
        state["top"] = TOP_K
    return state, notices


def _state(
    transforms: list[Record], names: list[str], loss: Any, size: int, requested: str | None
) -> tuple[State, list[Notice]]:
    activation = activation_of(loss, requested)
    regression = bool(transforms) and all(t.path == REGRESSION for t in transforms)
    notices = [] if activation.known or regression else [_raw_notice(loss)]
    if regression and activation.name == "softmax":
        raise UnsupportedLoss(
            name_of(loss),
            why="and its targets are numbers, not labels",
            fix="train with a loss for numbers, such as MSELossFlat, and export that learner."
            if name_of(loss) in LOSSES
            else "export with --activation identity.",
            code="softmax_for_numbers",
        )
    categorize = [t for t in transforms if t.path == CATEGORIZE]
    if len(categorize) > 1 or (categorize and len(names) > 1):
        raise UnsupportedTransform(
            "the targets",
            CATEGORIZE,
            why="used for several targets, for which fastai can't predict",
            fix="train one learner for each target, and export each.",
        )
    if not activation.known and not regression:
        return {"decoder": "raw"}, notices
    if categorize:
        state = {"decoder": "category", "activation": activation.name, "vocab": _vocab(categorize[0], size)}
        return state, notices if activation.name == "softmax" else [*notices, _not_softmax_notice(activation.name)]
    multi = [t for t in transforms if t.path in MULTI]
    if multi:
        vocab = _vocab(multi[0], size)
        if activation.threshold is None:
            notices = [*notices, threshold_notice(loss, "labels")]
        threshold = THRESHOLD if activation.threshold is None else activation.threshold
        if isinstance(threshold, list) and len(threshold) != len(vocab):
            raise UnsupportedLoss(
                name_of(loss),
                why=f"with {len(threshold)} thresholds for {len(vocab)} labels",
                fix="set learn.loss_func.thresh to one number, or to a torch tensor with a number for each label.",
                code="invalid_threshold",
            )
        state = {"decoder": "multi_category", "activation": activation.name, "vocab": vocab}
        return {**state, "threshold": threshold}, notices
    if activation.name == "softmax":  # classes that the user numbered: the numbers are the labels
        return {"decoder": "category", "activation": "softmax", "vocab": list(range(size))}, notices
    return {"decoder": "regression", "activation": activation.name, "size": size}, notices


def _vocab(transform: Record, size: int) -> list[Any]:
    try:
        vocab = [plain(item) for item in as_list(transform.get("vocab"))]
    except NotPlain as error:
        raise UnsupportedTransform(
            "a target", transform.path, why=f"whose labels contain {error}", fix=_FIX_LABELS
        ) from error
    if len(vocab) != size:
        raise ParityFailed(
            f"the network has {size} outputs for {len(vocab)} labels.",
            fix="train the learner with a network for its data, and export it again.",
        )
    labels = [item["timestamp"] if isinstance(item, dict) else item for item in vocab]
    duplicates = [text for text, count in Counter(map(str, labels)).items() if count > 1]
    if duplicates:
        raise UnsupportedTransform(
            "a target",
            transform.path,
            why=f"which has two labels with the text {duplicates[0]!r}",
            fix=_FIX_LABELS,
        )
    return labels


def _not_softmax_notice(activation: str) -> Notice:
    return model_notice(
        "not_softmax",
        f"the probabilities are the {activation} of each output of the network, and do not add up to 1. "
        "learn.predict may fail on such a learner.",
    )


def threshold_notice(loss: Any, what: str) -> Notice:
    """The notice that a default threshold is used for `what`: labels or pixels."""
    return model_notice(
        "threshold_assumed",
        f"the loss {name_of(loss)} has no threshold: the model predicts {what} with more than {THRESHOLD}, and "
        "learn.predict returns only numbers.",
    )


def _raw_notice(loss: Any) -> Notice:
    return model_notice(
        "raw_outputs",
        f"fastmar does not know the activation of the loss {name_of(loss)}: answers are the network's raw outputs, as "
        "in learn.predict. Export with --activation softmax (or sigmoid) to get probabilities.",
    )
