from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fastmar_serving import errors
from fastmar_serving.archives import read_archive
from fastmar_serving.run_directory import run_directory
from fastmar_serving.settings import Settings
from fastmar_serving.torchserve.config import read_properties, render, write_properties

MakeArchive = Callable[..., Path]
ROOT = Path(__file__).parents[3]


def test_config_properties_at_the_root_is_the_template() -> None:
    template = ROOT / "serving" / "fastmar_serving" / "torchserve" / "config.properties"
    assert (ROOT / "config.properties").read_bytes() == template.read_bytes()


def test_no_comments_after_values() -> None:
    values = read_properties((ROOT / "config.properties").read_text())
    assert not [name for name, value in values.items() if "#" in value]
    assert values["allowed_urls"] == "^$"


def test_command_line_overrides_config_file_overrides_template(tmp_path: Path, archive: MakeArchive) -> None:
    (tmp_path / "own.properties").write_text("# mine\njob_queue_size=7\ninference_address=http://1.2.3.4:5\n")
    found = [read_archive(archive(tmp_path, "a", ""))]
    settings = Settings(model_store=tmp_path, port=1234, config=tmp_path / "own.properties")
    with run_directory(None) as run:
        values = render(settings, run, found)
        assert values["job_queue_size"] == "7"
        assert values["inference_address"] == "http://127.0.0.1:1234"
        assert values["load_models"] == "a-1.0.mar"
        assert values["disable_token_authorization"] == "true"
        assert values["management_address"] == f"unix:{run.path}/management.sock"
        assert render(Settings(host="0.0.0.0"), run, found)["disable_token_authorization"] == "true"  # the front checks
        assert render(Settings(management="99"), run, found)["management_address"] == "http://127.0.0.1:99"
        with pytest.raises(errors.ConfigRefused):
            render(Settings(management="0.0.0.0:8081"), run, found)
        with pytest.raises(errors.ConfigRefused):
            render(Settings(config=tmp_path / "missing"), run, found)


@pytest.mark.parametrize("line", ["max_request_size=abc", "job_queue_size=100 # long", "default_response_timeout=2m"])
def test_refuses_values_that_are_not_numbers(tmp_path: Path, line: str) -> None:
    file = tmp_path / "own.properties"
    file.write_text(f"number_of_gpu=-1\n{line}\n")
    with run_directory(None) as run, pytest.raises(errors.ConfigRefused) as caught:
        render(Settings(config=file), run, [])
    assert caught.value.code == "invalid_property"
    assert caught.value.message.startswith(f"{line} in {file}")


def test_escapes_backslashes_for_java(tmp_path: Path) -> None:
    write_properties({"pattern": r"a\.b"}, tmp_path / "p")
    assert (tmp_path / "p").read_text() == "pattern=a\\\\.b\n"


def test_escapes_non_ascii_characters_for_java(tmp_path: Path) -> None:
    write_properties({"store": "/é s/\N{GRINNING FACE}"}, tmp_path / "p")
    assert (tmp_path / "p").read_bytes() == rb"store=/\u00e9 s/\ud83d\ude00" + b"\n"


def test_refuses_ipv6_which_torchserve_does_not_support() -> None:
    with run_directory(None) as run, pytest.raises(errors.ConfigRefused) as caught:
        render(Settings(host="::1"), run, [])
    assert caught.value.code == "ipv6_address"
