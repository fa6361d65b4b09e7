"""Options of `fastmar serve` from the environment."""

from __future__ import annotations

import argparse
import subprocess
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
    [name] = variables
    assert f"fastmar serve: error: environment variable {name}: " in capsys.readouterr().err


def test_warns_of_misspelled_variables() -> None:
    [warning] = serve.unknown_variables({"FASTMAR_PROT": "9000", "FASTMAR_PORT": "9000", "FASTMAR_TRACEBACK": "1"})
    assert "FASTMAR_PROT" in warning
    assert "did you mean FASTMAR_PORT?" in warning
    [warning] = serve.unknown_variables({"FASTMAR_SOMETHING": "1", "PROT": "1"})
    assert "FASTMAR_SOMETHING" in warning
    assert "mean" not in warning


def test_does_not_warn_of_the_variables_of_kubernetes() -> None:
    address = "tcp://10.0.0.7:8080"
    names = {
        "FASTMAR_PORT": address,
        "FASTMAR_SERVICE_HOST": "10.0.0.7",
        "FASTMAR_SERVICE_PORT": "8080",
        "FASTMAR_SERVICE_PORT_HTTP": "8080",
        "FASTMAR_WEB_BLUE_PORT": address,
        "FASTMAR_WEB_SERVICE_HOST": "10.0.0.8",
        **{f"FASTMAR_PORT_8080_TCP{part}": "x" for part in ("", "_PROTO", "_PORT", "_ADDR")},
    }
    assert serve.unknown_variables(names) == []


def test_knows_the_variables_that_the_code_reads() -> None:
    root = Path(__file__).parents[3]
    tracked = ["git", "grep", "-hoE", "FASTMAR_[A-Z0-9_]*[A-Z0-9]", "--", "*.py", "*.sh", "*.yaml", "*.yml", "docker"]
    found = subprocess.run([*tracked, ":!tests"], cwd=root, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("this is not a git checkout")
    assert serve.unknown_variables(dict.fromkeys(found.stdout.split(), "1")) == []


def test_choices_of_platform() -> None:
    from fastmar_serving.platforms import CHOICES

    assert serve.PLATFORMS == CHOICES


def test_missing_options_have_no_values() -> None:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    assert vars(parser.parse_args([])) == {}
