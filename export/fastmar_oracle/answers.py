"""Answers of an archive beside those of `learn.predict`, for each kind of answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

PIXELS = 1e-3
"""Share of a mask's pixels that may be of another class: where two are equally likely, the last bit decides."""

Values = npt.NDArray[np.float64]
State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What `learn.predict` returns.

    Attributes:
        decoded: the prediction as fastai shows it.
        indices: the prediction before it is decoded: the number of a label, flags of labels, a mask.
        numbers: the loss's activation of the network's outputs.
    """

    decoded: Any
    indices: Any
    numbers: Any


@dataclass(frozen=True, slots=True)
class Sides:
    """Both answers to one record.

    Attributes:
        ours: numbers of the archive's answer.
        theirs: fastai's numbers, in the same order.
        same: whether what is predicted beside the numbers is the same.
    """

    ours: Values
    theirs: Values
    same: bool = True


def compare(ours: dict[str, Any], theirs: Prediction, decode: State) -> Sides:
    """An archive's answer and fastai's prediction; `decode` is the spec's."""
    return _KINDS.get(decode["decoder"], _numbers)(ours, theirs, decode)


def _category(ours: dict[str, Any], theirs: Prediction, decode: State) -> Sides:
    label = _labels(decode)[int(theirs.indices)]
    return _probabilities(ours, theirs, decode, same=ours["prediction"] == label)


def _multi_category(ours: dict[str, Any], theirs: Prediction, decode: State) -> Sides:
    chosen = [label for label, on in zip(_labels(decode), np.asarray(theirs.indices), strict=True) if on]
    return _probabilities(ours, theirs, decode, same=ours["prediction"] == chosen)


def _probabilities(ours: dict[str, Any], theirs: Prediction, decode: State, *, same: bool) -> Sides:
    """Those that the answer has, which of many labels are the most probable ones."""
    known = dict(zip(_labels(decode), _flat(theirs.numbers).tolist(), strict=True))
    answered = ours["probabilities"]
    return Sides(_flat([*answered.values()]), _flat([known[label] for label in answered]), same)


def _points(ours: dict[str, Any], theirs: Prediction, decode: State) -> Sides:  # noqa: ARG001
    return Sides(_flat(ours["points_model"]), _flat(theirs.decoded))


def _segmentation(ours: dict[str, Any], theirs: Prediction, decode: State) -> Sides:  # noqa: ARG001
    from fastmar_runtime.masks import read_png  # noqa: PLC0415 - Pillow only where pictures are

    mask, expected = read_png(ours["prediction"]["mask"]), np.asarray(theirs.indices)
    same = mask.shape == expected.shape and float(np.mean(mask != expected)) <= PIXELS
    return Sides(np.zeros(1), np.zeros(1), same)


def _numbers(ours: dict[str, Any], theirs: Prediction, decode: State) -> Sides:  # noqa: ARG001
    return Sides(_flat(ours["prediction"]), _flat(theirs.numbers))


_KINDS: dict[str, Callable[[dict[str, Any], Prediction, State], Sides]] = {
    "category": _category,
    "multi_category": _multi_category,
    "points": _points,
    "segmentation": _segmentation,
}


def _labels(decode: State) -> list[str]:
    return [str(label) for label in decode["vocab"]]


def _flat(values: Any) -> Values:
    return np.asarray(values, dtype=np.float64).reshape(-1)
