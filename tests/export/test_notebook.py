"""`fastmar.export(learn, ...)`: the archive that `fastmar export` makes of the same learner's pickle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import fastmar
from fastmar_export.errors import ExportError
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
