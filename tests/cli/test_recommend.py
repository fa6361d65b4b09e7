"""`fastmar recommend`, with an archive and with a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fastmar_cli.main import main
from fastmar_contract.summary import describe_prediction
from tests.archives import ratings_archive, tiny_archive
from tests.cli.conftest import run_command
from tests.runtime import tiny_ratings


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ratings_archive(tmp_path_factory.mktemp("store"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    return run_command(capsys, "recommend", *arguments, status=status)


def test_recommendations_as_json(target: str, capsys: Any) -> None:
    answer = json.loads(run(capsys, target, "1", "-k", "2", "--seen", "Alien", "Dune", "--json"))
    assert answer["user"] == 1, "a number, as in the training table"
    assert [entry["item"] for entry in answer["recommendations"]] == ["Brazil", "Casablanca"]
    assert answer["warnings"] == []


def test_recommendations_as_a_table(target: str, capsys: Any) -> None:
    printed = run(capsys, target, "99", "--seen", "Zulu")
    rows = [line for line in printed.splitlines() if "Alien" in line or "Brazil" in line]
    assert len(rows) == 2
    assert "2.5" in rows[0]
    assert "99" in printed
    assert "Zulu" in printed


def test_similar_items(target: str, capsys: Any) -> None:
    answer = json.loads(run(capsys, target, "--like", "Casablanca", "-k", "1", "--json"))
    assert [entry["item"] for entry in answer["similar"]] == ["Eraserhead"]
    assert "Eraserhead" in run(capsys, target, "--like", "Casablanca")


def test_refusals(target: str, capsys: Any) -> None:
    assert "Zulu" in run(capsys, target, "--like", "Zulu", status=1)
    answer = json.loads(run(capsys, target, "--like", "Zulu", "--json", status=1))
    assert answer["error"]["code"] == "unknown_item"
    answer = json.loads(run(capsys, target, "1", "-k", "1001", "--json", status=1))
    assert answer["error"]["code"] == "k_out_of_range"


def test_other_models_are_refused(tmp_path: Path, capsys: Any) -> None:
    printed = run(capsys, str(tiny_archive(tmp_path)), "1", status=1)
    assert "not_a_recommender" in printed


@pytest.mark.parametrize(
    "arguments", [[], ["1", "--like", "Alien"], ["--like", "Alien", "--seen", "Dune"], ["1", "-k", "0"]]
)
def test_bad_usage(archive: Path, arguments: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["recommend", str(archive), *arguments])
    assert caught.value.code == 2


def test_predict_shows_lists_in_its_table(archive: Path, tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "lists.json").write_text(json.dumps([{"user": 1, "recommend": 2}, tiny_ratings.RECORD]))
    assert main(["predict", str(archive), str(tmp_path / "lists.json")]) == 0
    assert "Alien, Brazil" in capsys.readouterr().out


def test_texts_of_lists() -> None:
    entries = [{"item": item, "prediction": 1.0} for item in ("a", 2, "c", "d")]
    assert describe_prediction({"recommendations": entries}) == "a, 2, c, ... (4 items)"
    assert describe_prediction({"similar": entries[:1]}) == "a"
    assert describe_prediction({"recommendations": []}) == "no items"
