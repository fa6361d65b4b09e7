"""Inspection of learners that can't be exported, and of damaged files."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from fastai.losses import CrossEntropyLossFlat

from fastmar_export.inspection import inspect_pickle
from tests.export.tables import CASES, make_learner


class OwnLoss(CrossEntropyLossFlat):
    """A loss with its own activation, which is code."""

    def activation(self, x: Any) -> Any:
        return x.sigmoid()


class NoTensor:
    """An object in the place of a layer's weights."""


@functools.cache
def learner() -> Any:
    return make_learner(CASES["two classes"])[0]


def test_learner_with_unknown_loss_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner(), "loss_func", OwnLoss())
    learner().export(tmp_path / "learner.pkl")
    facts = inspect_pickle(tmp_path / "learner.pkl")
    assert facts["kind"] == "tabular"
    assert facts["columns"]["numbers"] == ["age", "weight"]
    assert facts["loss"]["class"].endswith("OwnLoss")
    assert facts["loss"]["activation"] is None
    assert sum("OwnLoss" in problem for problem in facts["problems"]) == 1, facts["problems"]


def test_objects_other_than_tensors_are_not_counted_as_weights(tmp_path: Path) -> None:
    learn = learner()
    layer = next(each for each in learn.model.modules() if isinstance(each, torch.nn.Linear))
    weights = dict(layer._parameters)
    layer._parameters["bias"] = NoTensor()  # type: ignore[assignment]
    try:
        torch.save(learn, tmp_path / "learner.pkl", pickle_protocol=2)
    finally:
        layer._parameters |= weights
    network = inspect_pickle(tmp_path / "learner.pkl")["network"]
    linear = next(each for each in network if each["class"].endswith(".Linear"))
    assert weights["weight"] is not None
    assert linear["parameters"] == weights["weight"].numel()
