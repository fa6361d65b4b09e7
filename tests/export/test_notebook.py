"""`fastmar.export(learn, ...)`: the archive that `fastmar export` makes of the same learner's pickle."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastai.callback.core import Callback

import fastmar
from fastmar_export.errors import ArchiveExists, ExportError
from fastmar_export.exporter import Options, export_learner
from fastmar_runtime.predictor import Predictor
from tests.export.tables import CASES, make_learner


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> fastmar.Summary:
    learn, _ = make_learner(CASES["missing values everywhere"])
    folder = tmp_path_factory.mktemp("notebook")
    summary = fastmar.export(learn, folder / "live", name="people", version="1.2")
    learn.export(folder / "learner.pkl")  # it still works, and says the same
    by_command = export_learner(folder / "learner.pkl", Options("people", "1.2", output=folder / "command"))
    one, other = (Predictor.open(path) for path in (summary.path, by_command.path))
    # fastai's two pickles differ in their bytes, whose hash is the provenance
    assert replace(one.spec, provenance=None) == replace(other.spec, provenance=None)
    assert one.files is not None
    assert other.files is not None
    assert one.files.read("model.onnx") == other.files.read("model.onnx")
    return summary


def test_it_prints_what_came_of_it(summary: fastmar.Summary) -> None:
    text = repr(summary)
    assert text.startswith(f"{summary.path}  people 1.2, tabular")
    assert "  age: a number, such as" in text
    assert "  color: one of" in text
    serve = f"fastmar serve --model-store {summary.path.parent}"
    assert text.endswith(f"Next: fastmar deploy {summary.path} (or {serve})"), "it is not the first version"
    first = replace(summary, spec=replace(summary.spec, version="1.0"))
    assert first.command == serve


def test_a_notebook_shows_a_table_and_nothing_of_the_data_is_markup(summary: fastmar.Summary) -> None:
    page = summary._repr_html_()
    assert page.count("<tr>") == len(summary.spec.fields)
    assert "&#x27;red&#x27;" in page


def test_a_name_that_is_no_name_is_refused(tmp_path: Path) -> None:
    learn, _ = make_learner(CASES["missing values everywhere"])
    with pytest.raises(ExportError):
        fastmar.export(learn, tmp_path, name="a b")
    assert list(tmp_path.iterdir()) == []


class HoldsLock(Callback):
    """As callbacks do that write to a service."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Interrupts(Callback):
    """Stands for whatever ends an export midway: Ctrl-C, a full disk."""

    def __init__(self, ends_with: BaseException) -> None:
        self.ends_with = ends_with

    def __reduce__(self) -> Any:
        raise self.ends_with


def test_a_learner_that_cannot_be_pickled_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    learn, _ = make_learner(CASES["missing values everywhere"])
    loaders, optimizer = learn.dls, learn.opt
    assert optimizer is not None
    learn.add_cb(HoldsLock())
    with pytest.raises(ExportError, match=r"'_thread.lock'.*HoldsLock.lock") as refused:
        fastmar.export(learn, tmp_path, name="people")
    assert "learn.remove_cb" in refused.value.fix
    assert learn.dls is loaders
    assert learn.opt is optimizer
    assert len(learn.dls.train_ds) > 0
    learn.remove_cb(HoldsLock)
    assert fastmar.export(learn, tmp_path, name="people").path.exists()


def test_what_a_learner_holds_itself_is_named_where_it_cannot_be_pickled(tmp_path: Path) -> None:
    learn, _ = make_learner(CASES["missing values everywhere"])
    learn.guard = threading.Lock()
    with pytest.raises(ExportError, match=r"learn\.guard can't be pickled"):
        fastmar.export(learn, tmp_path, name="people")


def test_an_export_that_ends_midway_leaves_the_learner_as_it_is(tmp_path: Path) -> None:
    learn, _ = make_learner(CASES["missing values everywhere"])
    loaders, optimizer = learn.dls, learn.opt
    for ends_with, seen in ((KeyboardInterrupt(), KeyboardInterrupt), (OSError("no space left"), ExportError)):
        learn.add_cb(Interrupts(ends_with))
        with pytest.raises(seen):
            fastmar.export(learn, tmp_path, name="people")
        assert learn.dls is loaders
        assert learn.opt is optimizer
        learn.remove_cb(Interrupts)


def test_a_learner_without_an_optimizer_is_given_none(tmp_path: Path) -> None:
    learn, _ = make_learner(CASES["missing values everywhere"])
    learn.opt = None
    fastmar.export(learn, tmp_path, name="people")
    assert learn.opt is None


def test_a_cell_may_run_again_but_another_learner_is_replaced_only_by_force(tmp_path: Path) -> None:
    learn, _ = make_learner(CASES["two classes"])
    path = fastmar.export(learn, tmp_path, name="people").path
    before = path.read_bytes()
    fastmar.export(learn, tmp_path, name="people")  # its new pickle has another digest
    assert path.read_bytes() != before
    before = path.read_bytes()
    learn.model.layers[0][0].weight.data += 0.1  # as training does
    with pytest.raises(ArchiveExists, match="trained further") as refused:
        fastmar.export(learn, tmp_path, name="people")
    assert "force=True" in refused.value.fix
    assert path.read_bytes() == before
    fastmar.export(learn, tmp_path, name="people", force=True)
    assert path.read_bytes() != before
