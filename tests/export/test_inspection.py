"""What inspection tells of learners that can't be exported, and of files that are damaged."""

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
    """With an activation that is code."""

    def activation(self, x: Any) -> Any:
        return x.sigmoid()


class NoTensor:
    """Where a layer's weights belong."""


@functools.cache
def learner() -> Any:
    return make_learner(CASES["two classes"])[0]


def test_a_learner_whose_loss_is_unknown_is_told_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner(), "loss_func", OwnLoss())
    learner().export(tmp_path / "learner.pkl")
    facts = inspect_pickle(tmp_path / "learner.pkl")
    assert facts["kind"] == "tabular"
    assert facts["columns"]["numbers"] == ["age", "weight"]
    assert facts["loss"]["class"].endswith("OwnLoss")
    assert facts["loss"]["activation"] is None
    assert sum("OwnLoss" in problem for problem in facts["problems"]) == 1, facts["problems"]


def test_what_stands_for_weights_and_is_none_is_not_counted(tmp_path: Path) -> None:
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
