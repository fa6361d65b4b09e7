"""`fastmar generate`, with an archive and with a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fastmar_cli.main import main
from fastmar_contract.summary import describe_prediction
from fastmar_runtime.predictor import Predictor
from fastmar_serving import targets
from tests.archives import language_archive, tiny_archive
from tests.cli.conftest import run_command

URL = "http://127.0.0.1:8080/predictions/words"
PROBABLE = ("--min-p", "0.5")  # only the most probable token


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return language_archive(tmp_path_factory.mktemp("store"))


def run(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    return run_command(capsys, "generate", *arguments, status=status)


def test_a_text(target: str, capsys: Any) -> None:
    assert run(capsys, target, "it was", "-n", "3", *PROBABLE) == "it was good and it\n"
    assert len(run(capsys, target, "it", *PROBABLE).split()) == 51


def test_json(target: str, capsys: Any) -> None:
    answer = json.loads(run(capsys, target, "it was", "-n", "3", *PROBABLE, "--json"))
    assert answer == {"text": "it was good and it", "generated": "good and it", "warnings": []}


def test_options(target: str, archive: Path, capsys: Any) -> None:
    options = ("-n", "40", "--temperature", "100", "--seed", "3")
    [expected] = Predictor.open(archive).predict([{"text": "it", "generate": 40, "temperature": 100, "seed": 3}])
    assert run(capsys, target, "it", *options) == f"it {expected['generated']}\n"
    allowed = run(capsys, target, "it", *options, "--allow-unk")
    assert ("xxunk" in allowed, "xxunk" in expected["text"]) == (True, False)


def test_refusals(target: str, capsys: Any) -> None:
    assert "invalid_option" in run(capsys, target, "it", "--temperature", "0", status=1)
    answer = json.loads(run(capsys, target, "it", "-n", "1001", "--json", status=1))
    assert answer["error"]["code"] == "invalid_option"


def test_parts_are_printed_as_they_arrive(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Control characters are escaped: the terminal would interpret them."""
    printed = []

    class Parts:
        def stream(self, text: str, tokens: int, **options: Any) -> Any:
            for part in (" good", "\x1b[2J", " and"):
                yield part
                printed.append(capsys.readouterr().out)

    monkeypatch.setattr(targets, "open_target", lambda *_: Parts())
    assert main(["generate", URL, "it was"]) == 0
    assert printed == ["it was good", "\\x1b[2J", " and"]


def test_other_models_are_refused(tmp_path: Path, capsys: Any) -> None:
    for options in ([], ["--json"]):
        assert "not_a_language_model" in run(capsys, str(tiny_archive(tmp_path)), "it", *options, status=1)


@pytest.mark.parametrize("options", [[], ["it", "-n", "0"], ["it", "--min-p", "2"], ["it", "--seed", "x"]])
def test_bad_usage(archive: Path, options: list[str], capsys: Any) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["generate", str(archive), *options])
    assert caught.value.code == 2


def test_predict_shows_texts_in_its_table(archive: Path, tmp_path: Path, capsys: Any) -> None:
    records = [{"text": "it was", "generate": 2, "min_p": 0.5}, {"text": "it", "embed": True}, {"text": "it"}]
    (tmp_path / "texts.json").write_text(json.dumps(records))
    assert main(["predict", str(archive), str(tmp_path / "texts.json")]) == 0
    printed = capsys.readouterr().out
    assert "it was good and" in printed
    assert "10 numbers" in printed


def test_texts_of_answers() -> None:
    assert describe_prediction({"text": "it was good", "generated": "good", "warnings": []}) == "it was good"
    assert describe_prediction({"embedding": [0.5, 1.0], "warnings": []}) == "2 numbers"
