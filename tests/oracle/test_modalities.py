"""The oracle has a modality for each modality of the export, which reads records and predicts with fastai."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from PIL import Image
from tests.runtime import tiny

from fastmar_export.modalities import modalities
from fastmar_oracle.learner import FastaiUnavailable, load_learner
from fastmar_oracle.modalities import Modality, ModalityUnknown, modality


class FakeLearner:
    """`predict` returns its argument, or raises an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.dls = type("Loaders", (), {"cat_names": [], "cont_names": [], "train_ds": None})

    no_bar = no_logging = staticmethod(contextlib.nullcontext)

    def predict(self, item: Any) -> tuple[Any, Any, Any]:
        if self.error is not None:
            raise self.error
        return item, 0, 0


@pytest.mark.parametrize("name", modalities())
def test_oracle_has_all_modalities_of_the_export(name: str) -> None:
    assert isinstance(modality(name), Modality)


def test_modality_of_an_extension_is_refused() -> None:
    with pytest.raises(ModalityUnknown) as caught:
        modality("letters")
    assert caught.value.code == "modality_not_comparable"
    assert "--learner" in caught.value.fix


def test_records_of_files_follow_golden_records(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("age\n31\n32\n")
    records = modality("tabular").read([tiny.record()], [tmp_path / "rows.csv"], tiny.spec())
    assert [record["age"] for record in records[1:]] == [31, 32]
    assert records[0] == tiny.record()


def test_pictures_are_passed_to_fastai_as_bytes(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3)).save(buffer, "PNG")
    (tmp_path / "red.png").write_bytes(buffer.getvalue())
    vision = modality("vision")
    [picture] = vision.read([], [tmp_path / "red.png"], tiny.spec())
    assert vision.predict(FakeLearner(), picture, tiny.spec()).decoded == buffer.getvalue()
    assert "red.png" in vision.describe(picture, 0)


def test_error_has_the_row_for_which_fastai_fails() -> None:
    with pytest.raises(FastaiUnavailable) as caught:
        modality("tabular").predict(FakeLearner(KeyError("broken")), tiny.record(age=31), tiny.spec())
    assert "'age': 31" in caught.value.message
    assert "KeyError: 'broken'" in caught.value.message


@pytest.mark.parametrize("there", [ModuleType("own_module"), None])
def test_error_of_a_learner_with_code_of_the_user(
    there: ModuleType | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("own_module")
    exec("def label_of(path): return 'a'", module.__dict__)
    monkeypatch.setitem(sys.modules, "own_module", module)
    torch.save({"function": module.label_of}, tmp_path / "learner.pkl")
    monkeypatch.setitem(sys.modules, "own_module", there)
    with pytest.raises(FastaiUnavailable) as caught:
        load_learner(tmp_path / "learner.pkl")
    assert caught.value.code == "own_code_missing"
