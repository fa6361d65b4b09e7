"""Comparison of answers with `learn.predict`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from benchmarks.answers import WrongAnswer, check_samples, difference

RIGHT = {"prediction": "late", "probabilities": {"late": 0.7, "on time": 0.3}}


def changed(**changes: Any) -> dict[str, Any]:
    return {**RIGHT, **changes}


def test_accepts_rounding_and_additional_keys() -> None:
    answer = changed(probabilities={"on time": 0.300001, "late": 0.699999}, warnings=[])
    assert difference(answer, RIGHT) == pytest.approx(1e-6)


@pytest.mark.parametrize(
    "answer",
    [
        changed(probabilities={"late": 0.7001, "on time": 0.2999}),
        changed(probabilities={"late": float("nan"), "on time": 0.3}),
        changed(probabilities={"late": 0.7}),
        changed(prediction="on time"),
        {"error": {"code": "missing_column"}},
    ],
)
def test_refuses_a_different_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(WrongAnswer):
        difference(answer, RIGHT)


def test_accepts_both_labels_of_a_tie() -> None:
    tie = {"prediction": "late", "probabilities": {"late": 0.5000001, "on time": 0.4999999}}
    assert difference({**tie, "prediction": "on time"}, tie) == 0


def test_samples_are_compared_by_position() -> None:
    other = {"prediction": "on time", "probabilities": {"late": 0.1, "on time": 0.9}}
    assert check_samples([(1, json.dumps(other))], [RIGHT, other]) == 0
    with pytest.raises(WrongAnswer):
        check_samples([(0, json.dumps(other))], [RIGHT, other])
