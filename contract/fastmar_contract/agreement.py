"""Comparison of two answers: whether they agree, whether the prediction changed, how far the numbers differ.

A worker checks its golden records by these rules, and `fastmar deploy` compares two versions by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Answer = dict[str, Any]
MaskDifference = Callable[[str, str], "float | None"]
"""Returns the share of pixels in which two masks differ, given as base64 PNGs; None if their sizes differ or one is not
a picture. Callers pass the function, because decoding pictures needs more than the standard library."""

TOLERANCE = 1e-4  # of numbers, relative above 1: other processors sum in another order
MASK_TOLERANCE = 1e-2  # share of a mask's pixels
# Texts of warnings and errors, which may differ between versions.
_WORDING = ("message", "fix")


def is_mask(answer: Answer) -> bool:
    """Whether the answer is a class for each pixel."""
    value = answer.get("prediction")
    return isinstance(value, dict) and "mask" in value


def answers_agree(answer: Any, expected: Any, decode: dict[str, Any], mask_difference: MaskDifference) -> bool:
    """Whether an answer agrees with the expected one: numbers within the tolerance, labels equal except for ties.

    `decode` is that of the archive's spec: it holds the threshold of a multi-label model, and `top` if answers have
    only the largest probabilities.
    """
    if not isinstance(answer, dict) or not isinstance(expected, dict) or answer.keys() != expected.keys():
        return _close(answer, expected)
    facts = [key for key in ("warnings", "name", "error") if key in expected]
    if any(_without_wording(answer[key]) != _without_wording(expected[key]) for key in facts):
        return False
    if not isinstance(expected.get("probabilities"), dict):
        return not prediction_changed(expected, answer, mask_difference)
    return _same_probabilities(answer, expected, decode) and _same_labels(answer, expected, decode)


def prediction_changed(old: Answer, new: Answer, mask_difference: MaskDifference, tolerance: float = TOLERANCE) -> bool:
    """Whether the prediction changed.

    It did if the label or the set of labels differs, if a number or point differs by more than `tolerance`, or if a
    mask differs in more than `MASK_TOLERANCE` of its pixels. `tolerance` is relative to the old number; a difference
    within `TOLERANCE` is never a change.
    """
    if is_mask(old) and is_mask(new):
        share = mask_difference(old["prediction"]["mask"], new["prediction"]["mask"])
        return share is None or share > MASK_TOLERANCE
    if "prediction" not in old or "prediction" not in new:
        return not _close(_without_wording(old), _without_wording(new))
    before, after = old["prediction"], new["prediction"]
    if _is_labels(before) and _is_labels(after):
        return set(before) != set(after)
    return not _close(after, before, tolerance)


def difference(old: Answer, new: Answer, mask_difference: MaskDifference) -> float | None:
    """Largest difference of a probability or of a predicted value; for masks, the share of pixels that differ.

    None if the answers have no number in common.
    """
    if is_mask(old) and is_mask(new):
        return mask_difference(old["prediction"]["mask"], new["prediction"]["mask"])
    before, after = old.get("probabilities"), new.get("probabilities")
    if isinstance(before, dict) and isinstance(after, dict):
        pairs: Iterator[tuple[Any, Any]] = ((before[label], after[label]) for label in before.keys() & after.keys())
    else:
        pairs = _pairs(old.get("prediction"), new.get("prediction"))
    return max((abs(a - b) for a, b in pairs if _is_number(a) and _is_number(b)), default=None)


def _same_probabilities(answer: Answer, expected: Answer, decode: dict[str, Any]) -> bool:
    before, after = expected["probabilities"], answer["probabilities"]
    if not isinstance(after, dict) or ("top" not in decode and list(after) != list(before)):
        return False
    both = before.keys() & after.keys()  # with `top`, the last labels may differ
    return _close(list(after.values()), list(before.values())) and all(_close(after[k], before[k]) for k in both)


def _same_labels(answer: Answer, expected: Answer, decode: dict[str, Any]) -> bool:
    probabilities = expected["probabilities"]
    before, after = expected.get("prediction"), answer.get("prediction")
    if "index" in expected:
        if answer["index"] == expected["index"]:
            return bool(after == before)
        if not isinstance(before, str) or not isinstance(after, str):
            return False
        return _close(_probability(probabilities, after), _probability(probabilities, before))
    if not isinstance(before, list) or not isinstance(after, list) or not _is_labels(before) or not _is_labels(after):
        return bool(before == after)
    return all(
        _close(_probability(probabilities, label), label_threshold(decode, label)) for label in set(before) ^ set(after)
    )


def label_threshold(decode: dict[str, Any], label: str) -> Any:
    """The threshold of one label of a multi-label model; None if it has none."""
    threshold = decode.get("threshold")
    if not isinstance(threshold, list):
        return threshold
    labels = [str(each) for each in decode.get("vocab", ())]
    return threshold[labels.index(label)] if label in labels[: len(threshold)] else None


def _probability(probabilities: dict[str, Any], label: Any) -> Any:
    return probabilities.get(label, 0.0) if isinstance(label, str) else None


def _without_wording(value: Any) -> Any:
    """Warnings or an error without their texts."""
    if isinstance(value, dict):
        return {key: _without_wording(item) for key, item in value.items() if key not in _WORDING}
    return [_without_wording(item) for item in value] if isinstance(value, list) else value


def _close(answer: Any, expected: Any, tolerance: float = TOLERANCE) -> bool:
    """Whether two pieces of JSON agree, numbers within `TOLERANCE`, or `tolerance` relative to the expected number."""
    if _is_number(answer) and _is_number(expected):
        try:
            allowed = max(TOLERANCE, TOLERANCE * abs(expected), tolerance * abs(expected))
            return bool(answer == expected or abs(answer - expected) <= allowed)
        except OverflowError:  # an integer too large for a float
            return False
    if isinstance(answer, list) and isinstance(expected, list):
        return len(answer) == len(expected) and all(
            _close(one, other, tolerance) for one, other in zip(answer, expected, strict=True)
        )
    if isinstance(answer, dict) and isinstance(expected, dict):
        return answer.keys() == expected.keys() and all(
            _close(answer[key], expected[key], tolerance) for key in expected
        )
    return type(answer) is type(expected) and bool(answer == expected)


def _pairs(answer: Any, expected: Any) -> Iterator[tuple[Any, Any]]:
    """Pairs of values at the same position of two predictions."""
    if isinstance(answer, list) and isinstance(expected, list):
        for a, b in zip(answer, expected, strict=False):
            yield from _pairs(a, b)
    else:
        yield answer, expected


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_labels(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(label, str) for label in value)
