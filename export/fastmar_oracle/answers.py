"""Compares one answer of an archive with one prediction of fastai, for each kind of answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

PIXELS = 1e-3
"""Share of a mask's pixels whose class may differ, because the last bit decides between equally probable classes."""

Values = npt.NDArray[np.float64]
State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prediction:
    """The result of `learn.predict`.

    Attributes:
        decoded: the decoded prediction.
        indices: the prediction before decoding: index of a label, flags of labels, or a mask.
        numbers: the network's outputs after the loss's activation.
    """

    decoded: Any
    indices: Any
    numbers: Any


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """The archive's answer and fastai's prediction for one record.

    Attributes:
        ours: numbers of the archive's answer.
        theirs: fastai's numbers, in the same order.
        same: whether the predicted labels or masks are the same.
    """

    ours: Values
    theirs: Values
    same: bool = True


def compare(ours: dict[str, Any], theirs: Prediction, decode: State) -> AnswerPair:
    """The comparable parts of an archive's answer and fastai's prediction; `decode` is the spec's decoder."""
    return _KINDS.get(decode["decoder"], _numbers)(ours, theirs, decode)


def _category(ours: dict[str, Any], theirs: Prediction, decode: State) -> AnswerPair:
    label = _labels(decode)[int(theirs.indices)]
    return _probabilities(ours, theirs, decode, same=ours["prediction"] == label)


def _multi_category(ours: dict[str, Any], theirs: Prediction, decode: State) -> AnswerPair:
    chosen = [label for label, on in zip(_labels(decode), np.asarray(theirs.indices), strict=True) if on]
    return _probabilities(ours, theirs, decode, same=ours["prediction"] == chosen)


def _probabilities(ours: dict[str, Any], theirs: Prediction, decode: State, *, same: bool) -> AnswerPair:
    """The probabilities in the answer, which may be only the largest ones, and fastai's for the same labels."""
    theirs_by_label = dict(zip(_labels(decode), _flat(theirs.numbers).tolist(), strict=True))
    probabilities = ours["probabilities"]
    return AnswerPair(
        _flat([*probabilities.values()]), _flat([theirs_by_label[label] for label in probabilities]), same
    )


def _points(ours: dict[str, Any], theirs: Prediction, decode: State) -> AnswerPair:  # noqa: ARG001
    return AnswerPair(_flat(ours["points_model"]), _flat(theirs.decoded))


def _segmentation(ours: dict[str, Any], theirs: Prediction, decode: State) -> AnswerPair:  # noqa: ARG001
    from fastmar_runtime.masks import read_png  # noqa: PLC0415 - imports Pillow, which only pictures need

    mask, expected = read_png(ours["prediction"]["mask"]), np.asarray(theirs.indices)
    same = mask.shape == expected.shape and float(np.mean(mask != expected)) <= PIXELS
    return AnswerPair(np.zeros(1), np.zeros(1), same)


def _numbers(ours: dict[str, Any], theirs: Prediction, decode: State) -> AnswerPair:  # noqa: ARG001
    return AnswerPair(_flat(ours["prediction"]), _flat(theirs.numbers))


_KINDS: dict[str, Callable[[dict[str, Any], Prediction, State], AnswerPair]] = {
    "category": _category,
    "multi_category": _multi_category,
    "points": _points,
    "segmentation": _segmentation,
}


def _labels(decode: State) -> list[str]:
    return [str(label) for label in decode["vocab"]]


def _flat(values: Any) -> Values:
    return np.asarray(values, dtype=np.float64).reshape(-1)
