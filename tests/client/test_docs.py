"""Runs the Python code of docs/client.md, in order, against a real server."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.client.models import people
from tests.pictures import picture

import fastmar
from fastmar_cli.main import main
from fastmar_export.exporter import Options, export_learner
from fastmar_serving.testing import RunningServer

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "client.md"
SERVER = "http://127.0.0.1:8080"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the examples use."""
    (tmp_path / "photos").mkdir()
    for number, colour in enumerate(("red", "green", "blue")):
        picture(colour, number).save(tmp_path / "photos" / f"{colour}.jpg")
    people(30).drop(columns="salary").to_csv(tmp_path / "people.csv", index_label="id")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.asgi
def test_the_examples_run(served: RunningServer, adult: Path, folder: Path, capsys: Any) -> None:
    python = blocks("python")
    assert len(python) > 8
    script = folder / "examples.py"
    text = "\n\n".join(python).replace(SERVER, served.url).replace("model_store/adult.mar", str(adult))
    script.write_text(text, "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.splitlines()
    assert printed[0].split()[0] in ("<50k", ">=50k")
    assert printed[1] == "red.jpg red"
    assert {"async: 2", "loaded: missing_column"} <= set(printed)
    assert "30 rows, 0 of them not scored, 100%" in printed
    assert "id,prediction,probability_<50k,probability_>=50k,error" in printed
    assert "adlut" in done.stdout
    assert "['1.0'] True" in done.stdout


def test_the_record_is_one_of_the_adult_model(cookbook: Path, tmp_path: Path) -> None:
    """The model of fastai's whole sample, which has more columns than the one of the other tests."""
    learner = cookbook / "adult_sample_model.pkl"
    model = fastmar.load(export_learner(learner, Options("adult", output=tmp_path)).path)
    [text] = re.findall(r"^record = (\{.*?^\})", DOCUMENT.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert model.predict(ast.literal_eval(text))["warnings"] == []


@pytest.mark.asgi
def test_the_commands_run(served: RunningServer, adult: Path, folder: Path, capsys: Any) -> None:
    scored = re.compile(r"fastmar score \S+ people\.csv ")  # tests/bulk has the other tables
    lines = [line for block in blocks("sh") for line in block.splitlines() if scored.match(line)]
    assert len(lines) == 3
    for line in lines:
        command = line.replace(SERVER, served.url).replace("model_store/adult.mar", str(adult)).split()
        assert main(command[1:]) == 0
        output = folder / command[command.index("-o") + 1]
        table = pd.read_parquet(output) if output.suffix == ".parquet" else pd.read_csv(output)
        assert len(table) == 30
