"""`Model.form` and the summary of a model: in this process, and in the kernel of a notebook."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

import fastmar
from fastmar_export.exporter import Options, export_learner
from tests.pictures import file_of, make_learner, picture
from tests.web.models import people, people_learner

pytest.importorskip("ipywidgets")
ORIENTATION = 0x0112  # the EXIF tag
VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    people_learner().export(folder / "people.pkl")
    people().to_csv(folder / "people.csv", index=False)
    return export_learner(folder / "people.pkl", Options("people", output=folder, reference=folder / "people.csv")).path


@pytest.fixture(scope="module")
def model(archive: Path) -> fastmar.Model:
    return fastmar.load(archive)


def exported_pictures(folder: Path, kind: str, **options: Any) -> fastmar.Model:
    make_learner(folder / "pictures", kind).export(folder / "learner.pkl")
    return fastmar.load(export_learner(folder / "learner.pkl", Options("pictures", output=folder, **options)).path)


def test_the_form_starts_with_the_defaults_and_their_answer(model: fastmar.Model) -> None:
    form = model.form()
    defaults = {name: column["default"] for name, column in model.schema["record"]["properties"].items()}
    assert form.record is not None
    assert set(form.record) == set(defaults)
    assert form.record["education"] == defaults["education"]
    assert form.answer == model.predict(form.record)


def test_the_answer_follows_the_fields(model: fastmar.Model) -> None:
    form = model.form()
    answers = []
    for label in ("10th", "Masters"):
        form.fields["education"].value = label
        assert form.record["education"] == f" {label}"
        assert form.answer == model.predict(form.record)
        answers.append(form.answer["probabilities"])
    assert answers[0] != answers[1]


def test_a_value_that_is_not_valid_has_no_answer(model: fastmar.Model) -> None:
    form = model.form()
    form.fields["age"].value = "old"
    assert (form.record, form.answer) == (None, None)
    form.fields["age"].value = "40"
    assert form.answer == model.predict(form.record)


def test_texts_are_escaped(model: fastmar.Model) -> None:
    """A category of this model is HTML."""
    assert "<img" not in model._repr_html_()
    assert "Predicts income." in model._repr_html_()
    assert "&lt;50k" in model.form()._shown.value


def uploaded(data: bytes) -> list[dict[str, Any]]:
    """The value of a `FileUpload`."""
    when = datetime(2024, 1, 31, tzinfo=UTC)
    return [{"name": "a.jpg", "type": "image/jpeg", "size": len(data), "content": data, "last_modified": when}]


@pytest.mark.parametrize("kind", ["label", "mask", "points"])
def test_a_picture_is_uploaded(tmp_path: Path, kind: str) -> None:
    model = exported_pictures(tmp_path, kind)
    form = model.form()
    assert form.answer is None
    data = file_of(picture("red", 1))
    form.fields["picture"].value = uploaded(data)
    assert form.answer == model.predict(data, mask_size="original")
    assert "data:image/png;base64," in form._shown.value
    form.fields["picture"].value = uploaded(b"text")
    assert form.answer is None
    assert "Fix: " in form._shown.value


@pytest.mark.parametrize("kind", ["mask", "points"])
@pytest.mark.parametrize("transposed", [False, True])
def test_the_overlay_is_over_the_picture_that_the_model_sees(tmp_path: Path, kind: str, transposed: bool) -> None:
    form = exported_pictures(tmp_path, kind, exif_transpose=transposed).form()
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # rotated by 90 degrees
    form.fields["picture"].value = uploaded(file_of(picture("red", 1, (80, 60)), exif=exif))
    [shown] = re.findall("data:image/png;base64,([^']+)", form._shown.value)
    with Image.open(io.BytesIO(base64.b64decode(shown))) as image:
        width, height = image.size
    least = width / 2 if kind == "mask" else width  # a legend is beside a mask
    assert (height > least) is transposed, (width, height)


@pytest.mark.filterwarnings("default")  # warnings of Jupyter's packages
def test_the_form_in_a_notebook(archive: Path, tmp_path: Path) -> None:
    cells = [
        f"import fastmar\nmodel = fastmar.load({str(archive)!r})\nmodel",
        "form = model.form()\nform",
        "before = form.answer['probabilities']\nform.fields['education'].value = 'Masters'",
        "before, form.answer['probabilities']",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown: list[Any] = [cell.outputs[-1].data if cell.outputs else {} for cell in notebook.cells]
    assert "<table>" in shown[0]["text/html"]
    assert VIEW in shown[1]
    before, after = eval(shown[3]["text/plain"])
    assert set(before) == set(after) == {"<50k", ">=50k"}
    assert before != after


@pytest.mark.parametrize(("method", "package"), [("form", "ipywidgets"), ("score", "pyarrow")])
def test_a_missing_package_is_named_with_the_fix(archive: Path, method: str, package: str) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"import fastmar\nmodel = fastmar.load({str(archive)!r}, verify=False)\n"
        f"try: model.{method}(*[{{}}][: {int(method == 'score')}])\n"
        "except ModuleNotFoundError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"Model.{method} needs {package}" in done.stdout
    assert "Fix: pip install" in done.stdout


def test_the_form_needs_neither_flask_nor_torch(archive: Path) -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['flask', 'torch', 'fastai', 'requests']))\n"
        f"import fastmar; form = fastmar.load({str(archive)!r}).form(); print(form.answer['prediction'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("<50k", ">=50k")
