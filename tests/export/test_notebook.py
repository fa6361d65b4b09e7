"""`fastmar.export(learn, ...)` writes the same archive as `fastmar export` from the learner's pickle."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastai.callback.core import Callback

import fastmar
from fastmar_export.errors import ArchiveExists, ExportError
from fastmar_export.exporter import Options, export_learner
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles.reporting import reference_of
from tests.export.errors import raises
from tests.export.tables import CASES, make_learner


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> fastmar.Summary:
    learn, _ = make_learner(CASES["missing values everywhere"])
    folder = tmp_path_factory.mktemp("notebook")
    summary = fastmar.export(learn, folder / "live", name="people", version="1.2")
    learn.export(folder / "learner.pkl")  # the learner is unchanged, so this gives the same archive
    by_command = export_learner(folder / "learner.pkl", Options("people", "1.2", output=folder / "command"))
    one, other = (Predictor.open(path) for path in (summary.path, by_command.path))
    # the two pickles have different bytes, and the provenance has their hash
    assert replace(one.spec, provenance=None) == replace(other.spec, provenance=None)
    assert one.files is not None
    assert other.files is not None
    assert one.files.read("model.onnx") == other.files.read("model.onnx")
    return summary


def test_summary_as_text(summary: fastmar.Summary) -> None:
    text = repr(summary)
    assert text.startswith(f"{summary.path}  people 1.2, tabular")
    assert "  age: a number, such as" in text
    assert "  color: one of" in text
    serve = f"fastmar serve --model-store {summary.path.parent}"
    assert text.endswith(f"Next: fastmar deploy {summary.path} (or {serve})"), "it is not the first version"
    first = replace(summary, spec=replace(summary.spec, version="1.0"))
    assert first.command == serve


def test_summary_as_html_escapes_data(summary: fastmar.Summary) -> None:
    page = summary._repr_html_()
    assert page.count("<tr>") == len(summary.spec.fields)
    assert "&#x27;red&#x27;" in page


def test_invalid_name_is_refused(tmp_path: Path) -> None:
    learn, _ = make_learner(CASES["missing values everywhere"])
    with raises(ExportError, "invalid_name"):
        fastmar.export(learn, tmp_path, name="a b")
    assert list(tmp_path.iterdir()) == []


class HoldsLock(Callback):
    """A callback that can't be pickled, such as one with a connection to a service."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Interrupts(Callback):
    """A callback that interrupts an export, as Ctrl-C or a full disk does."""

    def __init__(self, ends_with: BaseException) -> None:
        self.ends_with = ends_with

    def __reduce__(self) -> Any:
        raise self.ends_with


def test_learner_that_cannot_be_pickled_is_refused_and_unchanged(tmp_path: Path) -> None:
    learn, _ = make_learner(CASES["missing values everywhere"])
    loaders, optimizer = learn.dls, learn.opt
    assert optimizer is not None
    learn.add_cb(HoldsLock())
    with raises(ExportError, "learner_not_picklable", "'_thread.lock'", "HoldsLock.lock") as caught:
        fastmar.export(learn, tmp_path, name="people")
    assert "learn.remove_cb" in caught.value.fix
    assert learn.dls is loaders
    assert learn.opt is optimizer
    assert len(learn.dls.train_ds) > 0
    learn.remove_cb(HoldsLock)
    assert fastmar.export(learn, tmp_path, name="people").path.exists()


def test_error_names_the_attribute_that_cannot_be_pickled(tmp_path: Path) -> None:
    learn, _ = make_learner(CASES["missing values everywhere"])
    learn.guard = threading.Lock()
    with raises(ExportError, "learner_not_picklable", "learn.guard"):
        fastmar.export(learn, tmp_path, name="people")


def test_interrupted_export_does_not_change_the_learner(tmp_path: Path) -> None:
    learn, _ = make_learner(CASES["missing values everywhere"])
    loaders, optimizer = learn.dls, learn.opt
    for ends_with, expected in ((KeyboardInterrupt(), KeyboardInterrupt), (OSError("no space left"), ExportError)):
        learn.add_cb(Interrupts(ends_with))
        with pytest.raises(expected):
            fastmar.export(learn, tmp_path, name="people")
        assert learn.dls is loaders
        assert learn.opt is optimizer
        learn.remove_cb(Interrupts)


def test_learner_without_optimizer_gets_none(tmp_path: Path) -> None:
    learn, _ = make_learner(CASES["missing values everywhere"])
    learn.opt = None
    fastmar.export(learn, tmp_path, name="people")
    assert learn.opt is None


def test_repeated_export_is_allowed_but_replacing_another_learner_needs_force(tmp_path: Path) -> None:
    learn, _ = make_learner(CASES["two classes"])
    path = fastmar.export(learn, tmp_path, name="people").path
    before = path.read_bytes()
    fastmar.export(learn, tmp_path, name="people")  # its new pickle has another digest
    assert path.read_bytes() != before
    before = path.read_bytes()
    learn.model.layers[0][0].weight.data += 0.1  # as training does
    with raises(ArchiveExists, "another_model_exists") as caught:
        fastmar.export(learn, tmp_path, name="people")
    assert "force=True" in caught.value.fix
    assert path.read_bytes() == before
    fastmar.export(learn, tmp_path, name="people", force=True)
    assert path.read_bytes() != before


def test_reference_may_be_a_frame(tmp_path: Path) -> None:
    learn, frame = make_learner(CASES["date taken apart"])
    frame.to_parquet(tmp_path / "rows.parquet")
    archives = [
        fastmar.export(learn, tmp_path / name, name="sales", reference=reference)
        for name, reference in (("file", tmp_path / "rows.parquet"), ("frame", frame.set_index("size", drop=False)))
    ]
    of_file, of_frame = (Predictor.open(archive.path) for archive in archives)
    assert of_file.spec.fields == of_frame.spec.fields
    profiles = [reference_of(each) for each in (of_file, of_frame)]
    assert profiles[0] is not None
    assert profiles[1] is not None
    assert profiles[0].as_dict() == profiles[1].as_dict()


@pytest.mark.parametrize("reference", [5, pd.DataFrame([[1, 2]], columns=["age", "age"]), [{"age": 1}]])
def test_other_references_are_refused(reference: Any, tmp_path: Path) -> None:
    learn, _ = make_learner(CASES["two classes"])
    with raises(ExportError, "reference_unreadable"):
        fastmar.export(learn, tmp_path, name="people", reference=reference)
