"""Options of `fastmar serve` from the environment."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from fastmar_cli.commands import serve


def test_each_option_has_a_variable() -> None:
    found = serve.from_environment(
        {
            "FASTMAR_MODEL_STORE": "/models",
            "FASTMAR_HOST": "0.0.0.0",
            "FASTMAR_PORT": "9000",
            "FASTMAR_TOKEN": "no",
            "FASTMAR_MODELS": "a b",
            "FASTMAR_DRAIN_TIMEOUT": " 12.5 ",
            "FASTMAR_RUN_DIR": "",
            "FASTMAR_REQUEST_LOG_DROP": 'name, "a, b",last name',
            "FASTMAR_TRACEBACK": "1",
            "HOST": "elsewhere",
        }
    )
    assert vars(found) == {
        "model_store": Path("/models"),
        "host": "0.0.0.0",
        "port": 9000,
        "tokens": False,
        "models": ["a", "b"],
        "drain_timeout": 12.5,
        "request_log_drop": ["name", "a, b", "last name"],
    }


def test_ignores_the_variable_of_a_kubernetes_service_with_the_same_name() -> None:
    assert vars(serve.from_environment({"FASTMAR_PORT": "tcp://10.0.0.7:8080"})) == {}


def test_values_may_begin_with_a_dash() -> None:
    assert serve.from_environment({"FASTMAR_HOST": "-x"}).host == "-x"


@pytest.mark.parametrize(
    "variables", [{"FASTMAR_PORT": "many"}, {"FASTMAR_TOKEN": "perhaps"}, {"FASTMAR_WORKERS": "0"}]
)
def test_refuses_invalid_values(variables: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        serve.from_environment(variables)
    assert end.value.code == 2
    assert "environment" in capsys.readouterr().err


def test_choices_of_platform() -> None:
    from fastmar_serving.platforms import CHOICES

    assert serve.PLATFORMS == CHOICES


def test_missing_options_have_no_values() -> None:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    assert vars(parser.parse_args([])) == {}
