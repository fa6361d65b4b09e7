"""Compares explanations with predictions."""

from __future__ import annotations

from typing import Any

import pytest

from fastmar_runtime.predictor import Predictor

EQUAL = 1e-6  # difference of a number in a batch and alone: float32


def value_of(model: Predictor, record: dict[str, Any], label: str | None) -> float:
    [answer] = model.predict([record])
    return float(answer["prediction"] if label is None else answer["probabilities"][label])


def check_equal_to_asking_one_at_a_time(model: Predictor, record: dict[str, Any]) -> None:
    [answer] = model.predict([record])
    [explained] = model.predict([{**record, "explain": True}])
    assert explained["warnings"] == answer.pop("warnings")
    assert explained["answer"].keys() == answer.keys()
    for key, expected in answer.items():
        assert explained["answer"][key] == (
            expected if isinstance(expected, str) else pytest.approx(expected, abs=EQUAL)
        )
    label = answer["prediction"] if "probabilities" in answer else None
    for column in explained["columns"]:
        name = column["column"]
        without = value_of(model, {**record, name: column["typical"]}, label)
        assert column["effect"] == pytest.approx(explained["value"] - without, abs=EQUAL)
        for point in column["curve"]:
            expected = value_of(model, {**record, name: point["value"]}, label)
            assert point["outcome"] == pytest.approx(expected, abs=EQUAL)
