"""`fastmar diff --labels`: two archives on labelled rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

from fastmar_cli.main import main
from fastmar_runtime.predictor import Predictor
from tests.runtime import tiny, tiny_pictures

ROWS = 60


@pytest.fixture
def archives(tmp_path: Path) -> tuple[str, str]:
    """The tiny model, and one that predicts the other label."""
    paths = []
    for name, sign in (("old", 1), ("new", -1)):
        (tmp_path / name).mkdir()
        paths.append(str(tiny.write_bundle(tmp_path / name, tiny.spec(), tiny.graph(sign * tiny.WEIGHTS))))
    return paths[0], paths[1]


@pytest.fixture
def table(tmp_path: Path, archives: tuple[str, str]) -> tuple[str, list[str], dict[str, list[Any]]]:
    """A table, its labels and the answers of each archive. Most labels are those that the old archive predicts."""
    rng = np.random.default_rng(0)
    records = [
        tiny.record(age=int(rng.integers(17, 90)), hours=int(rng.integers(5, 80)), grade=int(rng.choice([3, 7, 11])))
        for _ in range(ROWS)
    ]
    answers = {name: Predictor.open(path).predict(records) for name, path in zip(("old", "new"), archives, strict=True)}
    labels = [answers["new" if row % 10 == 0 else "old"][row]["prediction"] for row in range(ROWS)]
    path = tmp_path / "rows.csv"
    pd.DataFrame(records).assign(salary=labels, pay=labels).to_csv(path, index=False)
    return str(path), labels, answers


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    status = main(["diff", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_a_worse_archive(archives: Any, table: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path, labels, answers = table
    status, found = report(capsys, *archives, "--labels", path)
    by_labels = found["labels"]
    assert (status, found["compatible"], by_labels["verdict"]) == (4, True, "worse")
    for name in ("old", "new"):
        predicted = [answer["prediction"] for answer in answers[name]]
        probabilities = np.array([list(answer["probabilities"].values()) for answer in answers[name]])
        probabilities /= probabilities.sum(axis=1, keepdims=True)  # they are rounded to float32
        expected = {
            "accuracy": metrics.accuracy_score(labels, predicted),
            "log_loss": metrics.log_loss(labels, probabilities, labels=["<50k", ">=50k"]),
            "macro_f1": metrics.f1_score(labels, predicted, average="macro"),
        }
        assert {key: by_labels["figures"][key][name] for key in expected} == pytest.approx(expected, abs=1e-5)
    assert by_labels["outcomes"] == {
        "both_right": 0, "only_old_right": ROWS - ROWS // 10, "only_new_right": ROWS // 10, "both_wrong": 0,
    }  # fmt: skip


def test_the_reverse_is_better(archives: Any, table: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", *archives[::-1], "--labels", table[0], "--column", "pay"]) == 0
    printed = capsys.readouterr().out
    assert "The new archive is better" in printed
    assert "90.0%" in printed
    assert "only new right 54" in printed


def test_the_same_archive(archives: Any, table: Any, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = report(capsys, archives[0], archives[0], "--labels", table[0])
    assert (status, found["labels"]["verdict"], found["labels"]["changes"]) == (0, "no_difference", [])


def test_pictures_in_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tiny_pictures.spec()
    archives = []
    for name, weights in (("old", -np.eye(3)), ("new", np.eye(3))):
        graph = tiny_pictures.graph(weights)
        samples = tiny.golden(Predictor(spec, graph), [{"image": {"b64": tiny_pictures.b64(tiny_pictures.picture())}}])
        archives.append(str(tiny.write_files(tmp_path / name, spec, graph, samples)))
    for at, label in enumerate(spec.decode["vocab"]):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(5):
            colour = ("red", "lime", "blue")[at]
            data = tiny_pictures.picture(colour, (32 + number, 24))
            (tmp_path / "photos" / label / f"{number}.png").write_bytes(data)
    status, found = report(capsys, *archives, "--labels", str(tmp_path / "photos"))
    assert status == 0
    assert found["labels"]["figures"]["accuracy"]["new"] == 1
    assert found["labels"]["outcomes"]["only_new_right"] == 15


def test_refusals(archives: Any, table: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", *archives, "--labels", table[0], "--column", "wage"]) == 1
    assert "[missing_column]" in capsys.readouterr().err
    with pytest.raises(SystemExit) as usage:
        main(["diff", *archives, "--column", "wage"])
    assert usage.value.code == 2
