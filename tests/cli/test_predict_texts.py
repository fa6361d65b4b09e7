"""`fastmar predict` with texts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fastmar_cli.main import main
from fastmar_export.exporter import Options, export_learner
from fastmar_runtime.predictor import Predictor
from tests.export.texts import CASES, make_learner


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    make_learner(CASES["one label"]).export(folder / "learner.pkl")
    return export_learner(folder / "learner.pkl", Options("reviews", output=folder)).path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "A GREAT film\n"),
        ("a.json", '"A GREAT film\\n"'),
        ("a.csv", 'text\n"A GREAT film\n"\n'),
        ("a.jsonl", '{"text": "A GREAT film\\n"}\n'),
    ],
)
def test_files(archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str) -> None:
    (tmp_path / name).write_text(content, "utf-8")
    assert main(["predict", str(archive), str(tmp_path / name), "--json"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line) == Predictor.open(archive).predict(["A GREAT film\n"])[0]


@pytest.mark.parametrize("text", ["I loved it", "great", "A GREAT film. " * 400])
def test_the_text_itself(archive: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert main(["predict", str(archive), text, "--json"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert json.loads(line) == Predictor.open(archive).predict([text])[0]


def test_a_name_with_the_extension_of_a_file_is_no_text(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(archive), "absent.txt"]) == 1
    assert "absent.txt can't be read" in capsys.readouterr().err
