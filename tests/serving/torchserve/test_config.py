from __future__ import annotations

import socket
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fastmar_serving.torchserve import errors
from fastmar_serving.torchserve.archives import read_archive
from fastmar_serving.torchserve.config import (
    MAX_RUN_PATH,
    RunDirectory,
    Settings,
    check_ports,
    free_port,
    reachable_url,
    read_properties,
    render,
    run_directory,
    write_properties,
)

MakeArchive = Callable[..., Path]
ROOT = Path(__file__).parents[3]


def test_the_template_is_the_file_at_the_top() -> None:
    template = ROOT / "serving" / "fastmar_serving" / "torchserve" / "config.properties"
    assert (ROOT / "config.properties").read_bytes() == template.read_bytes()


def test_no_comment_stands_behind_a_value() -> None:
    values = read_properties((ROOT / "config.properties").read_text())
    assert not [name for name, value in values.items() if "#" in value]
    assert values["allowed_urls"] == "^$"


def test_the_command_line_beats_the_file_beats_the_template(tmp_path: Path, archive: MakeArchive) -> None:
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


def test_backslashes_survive_java(tmp_path: Path) -> None:
    write_properties({"pattern": r"a\.b"}, tmp_path / "p")
    assert (tmp_path / "p").read_text() == "pattern=a\\\\.b\n"


def test_letters_outside_of_ascii_survive_java(tmp_path: Path) -> None:
    write_properties({"store": "/é s/\N{GRINNING FACE}"}, tmp_path / "p")
    assert (tmp_path / "p").read_bytes() == rb"store=/\u00e9 s/\ud83d\ude00" + b"\n"


def test_run_directories_are_private_and_tidied(tmp_path: Path) -> None:
    with run_directory(None) as run:
        assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
    assert not run.path.exists()
    asked = tmp_path / "run"
    with run_directory(asked):
        pass
    asked.chmod(0o755)
    (asked / "ready").touch()  # left behind by a server that was killed
    with run_directory(asked) as run:
        assert stat.S_IMODE(asked.stat().st_mode) == 0o700
        assert not run.ready_file.exists()
        run.key_file.touch()
    assert asked.exists()
    assert not run.key_file.exists()
    with pytest.raises(errors.ConfigRefused, match="too long"), run_directory(tmp_path / ("x" * MAX_RUN_PATH)):
        pass


def test_a_run_directory_is_one_servers_alone(tmp_path: Path) -> None:
    with run_directory(tmp_path) as run:
        run.management_socket.touch()
        with pytest.raises(errors.ConfigRefused, match=f"a server runs in {tmp_path}"), run_directory(tmp_path):
            pass
        assert run.management_socket.exists()
        assert run.temporary.exists()
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with run_directory(tmp_path):  # what the first server started does not keep it
            pass
    finally:
        child.kill()
        child.wait()


def test_nothing_of_an_earlier_server_is_taken_over(tmp_path: Path) -> None:
    with run_directory(tmp_path):
        pass
    run = RunDirectory(tmp_path)
    run.temporary.mkdir()
    for file in (run.temporary / "unpacked", run.front_socket, run.key_file):
        file.touch()
    with run_directory(tmp_path):
        assert list(run.temporary.iterdir()) == []
        assert not run.front_socket.exists()
        assert not run.key_file.exists()


def test_a_folder_with_other_files_is_no_run_directory(tmp_path: Path) -> None:
    (tmp_path / "config.properties").write_text("precious")
    with pytest.raises(errors.ConfigRefused, match="not a server's"), run_directory(tmp_path):
        pass
    assert (tmp_path / "config.properties").read_text() == "precious"


def test_ipv6_is_refused_since_torchserve_fails_on_it(tmp_path: Path) -> None:
    with run_directory(None) as run, pytest.raises(errors.ConfigRefused, match="::1"):
        render(Settings(host="::1"), run, [])


def test_a_taken_port_is_named() -> None:
    free = {"metrics_address": "http://[::1]:0"}
    check_ports({**free, "management_address": "unix:/m"})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(errors.PortTaken, match=f"can't listen on 127.0.0.1:{port}: .*\n  Fix: .*--management"):
            check_ports({**free, "management_address": f"http://127.0.0.1:{port}"})
    with pytest.raises(errors.ConfigRefused, match="--host"):
        free_port("192.0.2.1")


def test_an_address_for_every_interface_is_none_to_call() -> None:
    assert reachable_url("http://0.0.0.0:8080") == reachable_url("http://[::]:8080") == "http://127.0.0.1:8080"
    assert reachable_url("http://10.0.0.7:8080") == "http://10.0.0.7:8080"
