"""Comparison of answers: agreement within the tolerances, changed predictions, differences."""

from __future__ import annotations

import base64
import copy
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fastmar_contract.agreement import answers_agree, difference, prediction_changed
from fastmar_runtime.masks import mask_difference, png

LABELS = ["a", "b", "c"]


probabilities = st.floats(0, 1)
offsets = st.sampled_from([0.0, 1e-6, 9e-5, -9e-5, 1.2e-4, -0.01, 0.5])


@st.composite
def single_labels(draw: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    theirs = draw(st.lists(probabilities, min_size=3, max_size=3))
    ours = [share + draw(offsets) for share in theirs]
    answers = [
        {
            "prediction": LABELS[int(np.argmax(row))],
            "index": int(np.argmax(row)),
            "probabilities": dict(zip(LABELS, row, strict=True)),
            "warnings": draw(st.sampled_from([[], [{"field": "x", "code": "unknown_category"}]])),
        }
        for row in (ours, theirs)
    ]
    return answers[0], answers[1], {"decoder": "category"}


@st.composite
def several_labels(draw: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    theirs = draw(st.lists(st.sampled_from([0.1, 0.49995, 0.5, 0.50005, 0.9]), min_size=3, max_size=3))
    ours = [share + draw(offsets) for share in theirs]
    answers = [
        {
            "prediction": [label for label, share in zip(LABELS, row, strict=True) if share > 0.5],
            "probabilities": dict(zip(LABELS, row, strict=True)),
            "warnings": [],
        }
        for row in (ours, theirs)
    ]
    return answers[0], answers[1], {"decoder": "multi_category", "threshold": 0.5}


@st.composite
def numbers(draw: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    theirs = draw(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=3))
    ours = [value + draw(offsets) * max(1.0, abs(value)) for value in theirs]
    if draw(st.booleans()):
        ours, theirs = ours[0], theirs[0]
    return {"prediction": ours, "warnings": []}, {"prediction": theirs, "warnings": []}, {"decoder": "regression"}


@st.composite
def points(draw: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    theirs = [[draw(st.floats(0, 500)), draw(st.floats(0, 500))] for _ in range(2)]
    ours = [[x + draw(offsets) * 100, y] for x, y in theirs]
    answers = [{"prediction": each, "points_model": theirs, "warnings": []} for each in (ours, theirs)]
    return answers[0], answers[1], {"decoder": "points"}


@st.composite
def masks(draw: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    theirs = np.zeros((20, 20), dtype=np.uint8)
    ours = theirs.copy()
    ours.flat[: draw(st.integers(0, 8))] = 1
    if draw(st.booleans()):
        ours = ours[:10]
    answers = [
        {"prediction": {"mask": png(each), "width": 20, "height": len(each), "classes": []}, "warnings": []}
        for each in (ours, theirs)
    ]
    return answers[0], answers[1], {"decoder": "segmentation"}


@given(st.one_of(single_labels(), several_labels(), numbers(), points(), masks()))
def test_an_answer_agrees_with_its_copy(case: tuple[dict[str, Any], dict[str, Any], dict[str, Any]]) -> None:
    ours, theirs, decode = case
    assert answers_agree(ours, theirs, decode, mask_difference) in (True, False)
    assert answers_agree(theirs, copy.deepcopy(theirs), decode, mask_difference)


ONE = {"probabilities": {"a": 0.6, "b": 0.4}, "prediction": "a", "index": 0, "warnings": []}
SEVERAL = {"probabilities": {"a": 0.9, "b": 0.50001}, "prediction": ["a", "b"], "warnings": []}
NUMBER = {"prediction": 1000.0, "warnings": []}
THRESHOLD = {"decoder": "multi_category", "threshold": 0.5}


@pytest.mark.parametrize(
    ("answer", "changes", "decode", "agree"),
    [
        (ONE, {"probabilities": {"a": 0.60005, "b": 0.39995}}, {}, True),
        (ONE, {"probabilities": {"a": 0.602, "b": 0.398}}, {}, False),
        (ONE, {"prediction": "b", "index": 1}, {}, False),
        (
            ONE | {"probabilities": {"a": 0.50001, "b": 0.49999}},
            {"prediction": "b", "index": 1},
            {},
            True,
        ),  # a tie within the tolerance
        (ONE, {"warnings": [{"code": "x"}]}, {}, False),
        (ONE | {"warnings": [{"code": "x", "message": "a"}]}, {"warnings": [{"code": "x", "message": "b"}]}, {}, True),
        (ONE | {"warnings": [{"code": "x", "value": 1}]}, {"warnings": [{"code": "x", "value": 2}]}, {}, False),
        ({"error": {"code": "x", "fix": "a"}}, {"error": {"code": "x", "fix": "b"}}, {}, True),
        ({"error": {"code": "x", "fix": "a"}}, {"error": {"code": "y", "fix": "a"}}, {}, False),
        (ONE, {"probabilities": {"b": 0.4, "a": 0.6}}, {}, False),
        (ONE, {"probabilities": {"b": 0.4, "a": 0.6}}, {"top": 2}, False),
        (SEVERAL, {"prediction": ["a"]}, THRESHOLD, True),  # b is at the threshold
        (SEVERAL, {"prediction": ["b"]}, THRESHOLD, False),
        (NUMBER, {"prediction": 1000.05}, {}, True),
        (NUMBER, {"prediction": 1000.2}, {}, False),
    ],
)
def test_tolerances_of_agreement(answer: Any, changes: Any, decode: Any, agree: bool) -> None:
    assert answers_agree(answer | changes, answer, decode, mask_difference) == agree


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["prediction", "index", "probabilities", "warnings", "error", "mask", "a"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(anything, anything, anything)
def test_any_json_is_compared_without_an_exception(ours: Any, theirs: Any, decode: Any) -> None:
    decode = decode if isinstance(decode, dict) else {}
    assert answers_agree(ours, theirs, decode, mask_difference) in (True, False)
    assert answers_agree(ours, copy.deepcopy(ours), decode, mask_difference) or isinstance(ours, dict)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        assert prediction_changed(ours, theirs, mask_difference) in (True, False)
        gap = difference(ours, theirs, mask_difference)
        assert gap is None or gap >= 0


@pytest.mark.parametrize(
    ("old", "new", "changed", "gap"),
    [
        ({"prediction": "a", "probabilities": {"a": 1}}, {"prediction": "a", "probabilities": {"a": 0.7}}, False, 0.3),
        ({"prediction": "a", "probabilities": {"a": 0.9}}, {"prediction": "b", "probabilities": {"b": 1}}, True, None),
        ({"prediction": ["a", "b"]}, {"prediction": ["b", "a"]}, False, None),
        ({"prediction": []}, {"prediction": ["a"]}, True, None),
        ({"prediction": 2.0}, {"prediction": 2.00001}, False, 1e-5),
        ({"prediction": 2.0}, {"prediction": 3.5}, True, 1.5),
        ({"prediction": [1.0, 2.0]}, {"prediction": [1.0, 4.0]}, True, 2.0),
        ({"prediction": None}, {"prediction": None}, False, None),
        ({"outputs": [1]}, {"outputs": [2]}, True, None),
    ],
)  # fmt: skip
def test_changed_predictions_and_differences(old: Any, new: Any, changed: bool, gap: float | None) -> None:
    assert prediction_changed(old, new, mask_difference) == changed
    assert difference(old, new, mask_difference) == (None if gap is None else pytest.approx(gap))


@pytest.mark.parametrize(
    ("old", "new", "tolerance", "changed"),
    [
        (1000.0, 1040.0, 0.05, False),
        (1000.0, 1060.0, 0.05, True),
        (-1000.0, -1040.0, 0.05, False),
        (0.02, 0.03, 0.05, True),  # relative below 1 too
        (0.0, 0.00005, 0.05, False),  # other processors sum in another order
        (0.0, 0.5, 1.0, True),
        (1000.0, 1000.05, 0.0, False),
        ([[10.0, 200.0]], [[10.4, 205.0]], 0.05, False),
        ([[10.0, 200.0]], [[11.0, 200.0]], 0.05, True),
        ([10.0], [10.0, 10.0], 0.05, True),
        (["a"], ["b"], 0.9, True),
    ],
)
def test_a_number_changes_by_more_than_the_tolerance(old: Any, new: Any, tolerance: float, changed: bool) -> None:
    assert prediction_changed({"prediction": old}, {"prediction": new}, mask_difference, tolerance) == changed


def test_the_difference_of_masks_is_a_share_of_pixels() -> None:
    one, other = np.zeros((10, 10), dtype=np.uint8), np.zeros((10, 10), dtype=np.uint8)
    other[0, :3] = 2
    old, new = ({"prediction": {"mask": png(mask)}} for mask in (one, other))
    assert difference(old, new, mask_difference) == pytest.approx(0.03)
    assert prediction_changed(old, new, mask_difference)
    assert prediction_changed(old, {"prediction": {"mask": "not a picture"}}, mask_difference)
    buffer = io.BytesIO()
    Image.fromarray(one).save(buffer, "PNG", compress_level=1)  # other bytes, the same picture
    assert not prediction_changed(
        old, {"prediction": {"mask": base64.b64encode(buffer.getvalue()).decode()}}, mask_difference
    )


def test_changed_labels_warnings_and_names_do_not_agree() -> None:
    answer = {"prediction": "a", "index": 0, "probabilities": {"a": 0.9, "b": 0.1}, "warnings": []}
    assert not answers_agree(answer, answer | {"prediction": "nonsense"}, {}, mask_difference)
    assert not answers_agree(answer, answer | {"prediction": "nonsense", "index": 7}, {}, mask_difference)
    assert not answers_agree(answer, answer | {"warnings": [{}]}, {}, mask_difference)
    assert not answers_agree(answer | {"name": "a.jpg"}, answer, {}, mask_difference)


def test_numbers_as_labels_and_huge_integers_do_not_agree() -> None:
    answer = {"prediction": 1, "index": 1, "probabilities": {"a": 0.5, "b": 0.5}, "warnings": []}
    assert not answers_agree(answer, answer | {"prediction": 0, "index": 0}, {}, mask_difference)
    assert not answers_agree(
        {"prediction": 10**400, "warnings": []}, {"prediction": 0.5, "warnings": []}, {}, mask_difference
    )
