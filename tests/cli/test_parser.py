"""The parser: groups, examples, suggestions, options of all commands, completion."""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastmar_cli.console import notice, stages
from fastmar_cli.main import main
from fastmar_cli.parser import GROUPS, build_parser, command_names, load, log_level


def refusal(capsys: Any, *arguments: str) -> str:
    with pytest.raises(SystemExit) as exit_:
        main(list(arguments))
    assert exit_.value.code == 2
    return str(capsys.readouterr().err)


def test_each_command_is_in_one_group() -> None:
    assert sorted(name for names in GROUPS.values() for name in names) == command_names()


def test_without_arguments_the_groups_and_examples_are_printed(capsys: Any) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert all(f"{group}:\n" in printed for group in GROUPS)
    assert "fastmar export learner.pkl" in printed
    assert max(map(len, printed.splitlines())) <= 80


@pytest.mark.parametrize("name", command_names())
def test_the_examples_of_a_command_are_valid(name: str) -> None:
    doc = load(name).__doc__ or ""
    examples = [line.strip() for line in doc.splitlines() if line.startswith("  fastmar ")]
    examples = [example.split(" | ")[0] for example in examples] or ["fastmar completion bash"]
    parser = build_parser([name])
    for example in examples:
        args = parser.parse_args(shlex.split(example)[1:])
        assert args.command == name


@pytest.mark.parametrize(
    ("arguments", "suggestion"),
    [
        (["exprot"], "export"),
        (["nwe"], "new"),
        (["score", "model.mar", "rows.csv", "--outptu", "x.csv"], "--output"),
        (["genrate", "model.mar"], "generate"),
        (["predict", "model.mar", "rows.csv", "--jsno"], "--json"),
        (["serve", "--model-stroe=x"], "--model-store"),
        (["serve", "--engine", "asig"], "asgi"),
        (["generate", "model.mar", "x", "--tokns", "3"], "--tokens"),
    ],
)
def test_a_misspelled_word_is_corrected(arguments: list[str], suggestion: str, capsys: Any) -> None:
    assert suggestion in refusal(capsys, *arguments).partition("did you mean")[2]


def test_an_unknown_word_lists_what_is_known(capsys: Any) -> None:
    printed = refusal(capsys, "qqq")
    assert "did you mean" not in printed
    assert "export" in printed


@pytest.mark.parametrize("name", command_names())
def test_each_command_has_the_options_of_the_log(name: str, capsys: Any) -> None:
    with pytest.raises(SystemExit):
        build_parser([name]).parse_args([name, "--help"])
    printed = capsys.readouterr().out
    assert all(option in printed for option in ("--log-level", "--verbose", "--quiet"))


def test_the_log_level_comes_from_options_then_from_the_environment() -> None:
    parser = build_parser(["inspect"])
    for arguments, level in (
        (["inspect", "x"], logging.INFO),
        (["inspect", "x", "-v"], logging.DEBUG),
        (["-q", "inspect", "x"], logging.ERROR),
        (["inspect", "x", "--log-level", "warning"], logging.WARNING),
    ):
        assert log_level(parser.parse_args(arguments), {"FASTMAR_LOG_LEVEL": "info"}) == level
    with pytest.raises(SystemExit):
        log_level(parser.parse_args(["inspect", "x"]), {"FASTMAR_LOG_LEVEL": "loud"})


def test_quiet_prints_no_notes_and_verbose_prints_stages(capsys: Any, caplog: Any) -> None:
    with caplog.at_level(logging.ERROR):
        notice("nothing")
        with stages() as on_stage:
            on_stage("hidden")
    with caplog.at_level(logging.INFO):
        notice("something")
        with stages() as on_stage:
            on_stage("reading")
    printed = capsys.readouterr().err
    assert "nothing" not in printed
    assert "something" in printed
    assert caplog.messages == ["reading"]


@pytest.mark.parametrize(("line", "word"), [("fastmar exp", "export"), ("fastmar serve --eng", "--engine")])
def test_shells_complete_commands_and_options(line: str, word: str, tmp_path: Path) -> None:
    answer = tmp_path / "answer"
    variables = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    environ = {**os.environ, **variables, "_ARGCOMPLETE_STDOUT_FILENAME": str(answer)}
    subprocess.run([sys.executable, "-m", "fastmar_cli.main"], env=environ, check=False)
    assert answer.read_text().split() == [word]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str, capsys: Any) -> None:
    assert main(["completion", shell]) == 0
    assert "fastmar" in capsys.readouterr().out


def test_models_takes_the_address_with_or_without_its_option() -> None:
    import argparse

    from fastmar_cli.commands import models

    parser = argparse.ArgumentParser()
    models.add_arguments(parser)
    url = "http://127.0.0.1:9"
    assert parser.parse_args([url]).url == parser.parse_args(["--url", url]).url == url
    assert parser.parse_args([]).url == parser.parse_args(["--unload", "a", "1"]).url
