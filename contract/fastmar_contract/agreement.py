"""Two answers side by side: are they the same, is another thing predicted, how far apart are the numbers.

A worker checks its golden records by these rules, and `fastmar deploy` compares two versions by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Answer = dict[str, Any]
MaskDifference = Callable[[str, str], "float | None"]
"""The share of the pixels in which two masks differ, PNGs in base64; None where they have different sizes, or one is no
picture. Reading pictures takes more than the standard library, so that callers give it."""

TOLERANCE = 1e-4  # of a number, relative where it is above 1: other processors sum in another order
MASK_TOLERANCE = 1e-2  # share of a mask's pixels


def is_mask(answer: Answer) -> bool:
    """Whether the answer is a class for each pixel."""
    value = answer.get("prediction")
    return isinstance(value, dict) and "mask" in value


def same_answer(ours: Any, theirs: Any, decode: dict[str, Any], mask_difference: MaskDifference) -> bool:
    """Whether two answers agree: numbers within the tolerance, labels except where so little decides.

    `decode` is the archive's: it has the threshold of several labels, and `top` where only the likeliest are answered.
    """
    if not isinstance(ours, dict) or not isinstance(theirs, dict) or ours.keys() != theirs.keys():
        return _close(ours, theirs)
    if any(ours[key] != theirs[key] for key in ("warnings", "name", "error") if key in theirs):
        return False
    if not isinstance(theirs.get("probabilities"), dict):
        return not prediction_changed(ours, theirs, mask_difference)
    return _same_probabilities(ours, theirs, decode) and _same_labels(ours, theirs, decode)


def prediction_changed(old: Answer, new: Answer, mask_difference: MaskDifference) -> bool:
    """Whether something else is predicted.

    That is another label or set of labels, a number or a point that differs by more than the tolerance, a mask that
    differs in more than `MASK_TOLERANCE` of its pixels.
    """
    if is_mask(old) and is_mask(new):
        share = mask_difference(old["prediction"]["mask"], new["prediction"]["mask"])
        return share is None or share > MASK_TOLERANCE
    if "prediction" not in old or "prediction" not in new:
        return not _close(old, new)
    before, after = old["prediction"], new["prediction"]
    if _is_labels(before) and _is_labels(after):
        return set(before) != set(after)
    return not _close(before, after)


def difference(old: Answer, new: Answer, mask_difference: MaskDifference) -> float | None:
    """Largest difference of a probability, or of a predicted value, or the share of a mask's pixels that differ.

    None where the two have no number in common.
    """
    if is_mask(old) and is_mask(new):
        return mask_difference(old["prediction"]["mask"], new["prediction"]["mask"])
    before, after = old.get("probabilities"), new.get("probabilities")
    if isinstance(before, dict) and isinstance(after, dict):
        pairs: Iterator[tuple[Any, Any]] = ((before[label], after[label]) for label in before.keys() & after.keys())
    else:
        pairs = _pairs(old.get("prediction"), new.get("prediction"))
    return max((abs(a - b) for a, b in pairs if _is_number(a) and _is_number(b)), default=None)


def _same_probabilities(ours: Answer, theirs: Answer, decode: dict[str, Any]) -> bool:
    before, after = theirs["probabilities"], ours["probabilities"]
    if not isinstance(after, dict) or ("top" not in decode and list(after) != list(before)):
        return False
    both = before.keys() & after.keys()  # of the largest, those at the end may change places
    return _close(list(after.values()), list(before.values())) and all(_close(after[k], before[k]) for k in both)


def _same_labels(ours: Answer, theirs: Answer, decode: dict[str, Any]) -> bool:
    probabilities = theirs["probabilities"]
    before, after = theirs.get("prediction"), ours.get("prediction")
    if "index" in theirs:
        if ours["index"] == theirs["index"]:
            return bool(after == before)
        if not isinstance(before, str) or not isinstance(after, str):
            return False
        return _close(_probability(probabilities, after), _probability(probabilities, before))
    if not isinstance(before, list) or not isinstance(after, list) or not _is_labels(before) or not _is_labels(after):
        return bool(before == after)
    return all(
        _close(_probability(probabilities, label), threshold_of(decode, label)) for label in set(before) ^ set(after)
    )


def threshold_of(decode: dict[str, Any], label: str) -> Any:
    """The threshold of one label of several; None where there is none."""
    threshold = decode.get("threshold")
    if not isinstance(threshold, list):
        return threshold
    labels = [str(each) for each in decode.get("vocab", ())]
    return threshold[labels.index(label)] if label in labels[: len(threshold)] else None


def _probability(probabilities: dict[str, Any], label: Any) -> Any:
    return probabilities.get(label, 0.0) if isinstance(label, str) else None


def _close(ours: Any, theirs: Any) -> bool:
    """Whether two pieces of JSON agree, numbers within the tolerance."""
    if _is_number(ours) and _is_number(theirs):
        try:
            return bool(ours == theirs or abs(ours - theirs) <= TOLERANCE * max(1.0, abs(theirs)))
        except OverflowError:  # an integer that is no float
            return False
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_close, ours, theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(_close(ours[key], theirs[key]) for key in theirs)
    return type(ours) is type(theirs) and bool(ours == theirs)


def _pairs(ours: Any, theirs: Any) -> Iterator[tuple[Any, Any]]:
    """What stands in the same places of two predictions."""
    if isinstance(ours, list) and isinstance(theirs, list):
        for a, b in zip(ours, theirs, strict=False):
            yield from _pairs(a, b)
    else:
        yield ours, theirs


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_labels(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(label, str) for label in value)
