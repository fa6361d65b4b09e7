"""Attributes of picture transforms, in all forms of pickles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastai.vision.augment import Resize
from PIL import Image
from tests.export.errors import raises
from tests.export.pictures import Config, tiny_learner

from fastmar_export.errors import UnsupportedTransform
from fastmar_export.exporter import Options, export_learner
from fastmar_export.modalities.vision.attributes import resample_of
from fastmar_export.reader import Global, Record

RESAMPLING = Global("PIL.Image", "Resampling")


def by_name(name: str) -> Record:
    """A member of an enumeration in the form of Python 3.11.0 to 3.11.3."""
    return Record(Global("builtins", "getattr"), (RESAMPLING, name))


def transform(value: Any) -> Record:
    return Record(Global("fastai.vision.augment", "RatioResize"), (), state={"resamples": (value, value)})


@pytest.mark.parametrize("member", [each for each in Image.Resampling if each in range(6)])
def test_filter_by_number_or_name(member: Image.Resampling) -> None:
    for value in (int(member), Record(RESAMPLING, (int(member),)), by_name(member.name)):
        assert resample_of(transform(value), "here") == member


@pytest.mark.parametrize(
    "value",
    [
        by_name("SHARPEST"),
        Record(RESAMPLING, (9,)),
        Record(Global("builtins", "getattr"), (Global("os", "x"), "BOX")),
        "BOX",
        None,
    ],
)
def test_unknown_filter_is_refused(value: Any) -> None:
    with raises(UnsupportedTransform, "unknown_filter"):
        resample_of(transform(value), "here")


def test_learner_of_an_older_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = tiny_learner(Config(item=[Resize(32)]), tmp_path)
    monkeypatch.setattr(Image.Resampling, "__reduce_ex__", lambda self, _: (getattr, (type(self), self.name)))
    learner.export(tmp_path / "learner.pkl")
    spec = export_learner(tmp_path / "learner.pkl", Options("model", output=tmp_path)).spec
    assert [step["resample"] for step in spec.steps if step["step"] == "resize"] == [Image.Resampling.BILINEAR]
