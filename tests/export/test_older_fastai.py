"""Learners made by an older fastai, which has other module paths and pickles without cloudpickle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from base64 import b64encode
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmar_export.exporter import Options, export_learner
from fastmar_runtime import payload
from fastmar_runtime.predictor import Predictor
from tests.conftest import MEASURED
from tests.export import texts
from tests.export.tables import ROWS
from tests.export.test_text_parity import LONG

ROOT = Path(__file__).resolve().parents[2]
# pandas 2, since fastai 2.7 fills missing values in place, which pandas 3 ignores.
PACKAGES = ["fastai==2.7.19", "fastcore==1.7.29", "fastprogress==1.0.3", "pandas==2.3.3", "pytz"]
DATED = ["date taken apart", "birth taken apart"]
NAMES = ["several classes", "missing values everywhere", "y_range", *DATED, "several regression targets"]
TEXTS = [*texts.CASES] if LONG else ["one label", "two columns", "SentencePiece backwards", "from_folder"]
MODULES = ["pickle", "cloudpickle"] if LONG else ["pickle"]


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pickles and answers by fastai 2.7."""
    packages = ROOT / ".build" / "fastai-2.7.19"
    if not (packages / "pytz").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(packages), *PACKAGES]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"fastai 2.7 can't be installed: {done.stderr[-200:]}")
    folder = tmp_path_factory.mktemp("older")
    environment = os.environ | {"PYTHONPATH": f"{packages}{os.pathsep}{ROOT}"}
    for maker, names in (("make_older.py", NAMES), ("make_older_pictures.py", []), ("make_older_texts.py", TEXTS)):
        # -P, because the folder of the scripts has modules with the names of fastai modules
        command = [sys.executable, "-P", "-W", "ignore", str(Path(__file__).with_name(maker)), str(folder), *names]
        subprocess.run(command, check=True, env=environment)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_answers_equal_the_older_fastai(name: str, older: Path, tmp_path: Path, record_property: Any) -> None:
    noted = json.loads((older / f"{name}.json").read_text())
    assert noted["fastai"].startswith("2.7")
    exported = export_learner(older / f"{name}.pkl", Options("model", output=tmp_path))
    assert "fastcore.transform.Pipeline" in exported.source.globals  # fasttransform's in 2.8
    record_property(MEASURED, largest := largest_difference(exported.path, noted["answers"]))
    assert largest <= 1e-5


@pytest.mark.parametrize("pickle_module", MODULES)
@pytest.mark.parametrize("name", TEXTS)
def test_answers_for_texts_equal_the_older_fastai(
    name: str, pickle_module: str, older: Path, tmp_path: Path, record_property: Any
) -> None:
    noted = json.loads((older / f"{name}.json").read_text())
    assert noted["fastai"].startswith("2.7")
    exported = export_learner(older / f"{name}, {pickle_module}.pkl", Options("model", output=tmp_path))
    record_property(MEASURED, largest := largest_difference(exported.path, noted["answers"]))
    assert largest <= 1e-5


def largest_difference(archive: Path, noted: list[Any]) -> float:
    """The largest difference of a number; labels must be equal."""
    answers = Predictor.open(archive).predict([record for record, _ in noted])
    largest = 0.0
    for answer, (record, theirs) in zip(answers, noted, strict=True):
        assert "error" not in answer, record
        ours = np.atleast_1d(
            list(answer["probabilities"].values()) if "probabilities" in answer else answer["prediction"]
        )
        if "index" in answer:
            assert answer["index"] == int(np.argmax(theirs))
        largest = max(largest, float(np.max(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs)))))
    return largest


@pytest.mark.parametrize("name", DATED)
def test_answers_for_dates_equal_the_older_fastai(name: str, older: Path, tmp_path: Path) -> None:
    noted = json.loads((older / f"{name}.json").read_text())["answers"]
    exported = export_learner(older / f"{name}.pkl", Options("model", output=tmp_path))
    predictor = Predictor.open(exported.path)
    known = [(record, theirs) for record, theirs in noted if record["size"] in ("S", "M", "L")][: ROWS // 17]
    assert len(known) == ROWS // 17
    for record, theirs in known:
        when = date(*(int(record[f"sale{part}"]) for part in ("Year", "Month", "Day")))
        [answer] = predictor.predict([{"size": record["size"], "saledate": when.isoformat()}])
        assert answer["warnings"] == []
        assert list(answer["probabilities"].values()) == pytest.approx(theirs, abs=1e-5)


def test_answers_for_pictures_equal_the_older_fastai(older: Path, tmp_path: Path, record_property: Any) -> None:
    noted = json.loads((older / "pictures.json").read_text())
    assert noted["fastai"].startswith("2.7")
    exported = export_learner(older / "pictures.pkl", Options("model", output=tmp_path))
    sent = [{"image": {"b64": b64encode(Path(path).read_bytes()).decode()}} for path, _ in noted["answers"]]
    predictor = Predictor.open(exported.path)
    answers = predictor.predict(payload.read(json.dumps(sent), "application/json", predictor.spec).records)
    assert len(answers) == 8
    largest = 0.0
    for answer, (path, theirs) in zip(answers, noted["answers"], strict=True):
        assert answer["index"] == int(np.argmax(theirs)), path
        largest = max(largest, float(np.max(np.abs(np.array(list(answer["probabilities"].values())) - theirs))))
    record_property(MEASURED, largest)
    assert largest <= 1e-4
