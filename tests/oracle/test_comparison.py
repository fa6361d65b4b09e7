"""Archives that `fastmar verify --learner` does not compare with fastai."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tests.runtime import tiny

from fastmar_oracle.comparison import NotComparable, compare_with_fastai


@pytest.mark.parametrize(
    ("notices", "flags", "reason"),
    [
        (["test_time_augmentation"], "--tta", "fastai draws random ones"),
        (["reduced_precision"], "--precision", "rounded"),
        (["test_time_augmentation", "reduced_precision"], "--tta and --precision", "rounded"),
    ],
)
def test_an_option_that_changes_answers_is_named_with_its_effect(
    notices: list[str], flags: str, reason: str, tmp_path: Path
) -> None:
    learner = tmp_path / "learner.pkl"
    learner.write_bytes(b"never loaded")
    provenance = {"pickle": {"sha256": hashlib.sha256(b"never loaded").hexdigest()}}
    spec_notices = tuple({"field": None, "code": code, "message": "-"} for code in notices)
    predictor = tiny.predictor(provenance=provenance, notices=spec_notices)
    with pytest.raises(NotComparable) as refusal:
        compare_with_fastai(predictor, learner, [], [])
    assert refusal.value.code == "not_comparable"
    assert flags in refusal.value.message
    assert reason in refusal.value.message
    assert f"without {flags}" in refusal.value.fix
    assert "golden records" in refusal.value.fix
