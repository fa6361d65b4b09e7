from __future__ import annotations

import errno
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
    reachable_url,
    read_properties,
    render,
    run_directory,
    write_properties,
)
from fastmar_serving.torchserve.ports import check_ports

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


def test_escapes_backslashes_for_java(tmp_path: Path) -> None:
    write_properties({"pattern": r"a\.b"}, tmp_path / "p")
    assert (tmp_path / "p").read_text() == "pattern=a\\\\.b\n"


def test_escapes_non_ascii_characters_for_java(tmp_path: Path) -> None:
    write_properties({"store": "/é s/\N{GRINNING FACE}"}, tmp_path / "p")
    assert (tmp_path / "p").read_bytes() == rb"store=/\u00e9 s/\ud83d\ude00" + b"\n"


def test_run_directories_are_private_and_cleaned_up(tmp_path: Path) -> None:
    with run_directory(None) as run:
        assert stat.S_IMODE(run.path.stat().st_mode) == 0o700
    assert not run.path.exists()
    path = tmp_path / "run"
    with run_directory(path):
        pass
    path.chmod(0o755)
    (path / "ready").touch()  # left behind by a server that was killed
    with run_directory(path) as run:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert not run.ready_file.exists()
        run.key_file.touch()
    assert path.exists()
    assert not run.key_file.exists()
    with pytest.raises(errors.ConfigRefused) as caught, run_directory(tmp_path / ("x" * MAX_RUN_PATH)):
        pass
    assert caught.value.code == "run_dir_too_long"


def test_refuses_a_run_directory_of_another_server(tmp_path: Path) -> None:
    with run_directory(tmp_path) as run:
        run.management_socket.touch()
        with pytest.raises(errors.ConfigRefused) as caught, run_directory(tmp_path):
            pass
        assert caught.value.code == "run_dir_in_use"
        assert str(tmp_path) in caught.value.message
        assert run.management_socket.exists()
        assert run.temporary.exists()
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with run_directory(tmp_path):  # a child of the first server does not hold the lock
            pass
    finally:
        child.kill()
        child.wait()


def test_removes_files_of_an_earlier_server(tmp_path: Path) -> None:
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


def test_refuses_a_run_directory_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "config.properties").write_text("precious")
    with pytest.raises(errors.ConfigRefused) as caught, run_directory(tmp_path):
        pass
    assert caught.value.code == "run_dir_not_empty"
    assert (tmp_path / "config.properties").read_text() == "precious"


def test_refuses_ipv6_which_torchserve_does_not_support() -> None:
    with run_directory(None) as run, pytest.raises(errors.ConfigRefused) as caught:
        render(Settings(host="::1"), run, [])
    assert caught.value.code == "ipv6_address"


FREE = {
    "inference_address": "http://127.0.0.1:0",
    "metrics_address": "http://127.0.0.1:0",
    "management_address": "unix:/m",
}


def test_names_all_taken_ports() -> None:
    check_ports(FREE)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        addresses = [f"127.0.0.1:{taken.getsockname()[1]}" for taken in (one, other)]
        taken = {"inference_address": f"http://{addresses[0]}", "management_address": f"http://{addresses[1]}"}
        with pytest.raises(errors.PortTaken) as caught:
            check_ports(FREE | taken)
        assert all(address in caught.value.message for address in addresses)
        assert "--port 0 --management 0" in caught.value.fix
        with pytest.raises(errors.PortTaken) as caught:
            check_ports(FREE | {"metrics_address": f"http://{addresses[0]}"})
        assert "--metrics-port 0" in caught.value.fix


@pytest.mark.parametrize("host", ["192.0.2.1", "300.1.1.1", "no-such-host.invalid"])
def test_refuses_a_host_that_is_no_address_of_this_machine(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = f"http://127.0.0.1:{taken.getsockname()[1]}"  # of two faults, the host comes first
        for name, option in (("inference_address", "--host"), ("metrics_address", "--metrics-host")):
            with pytest.raises(errors.ConfigRefused) as caught:
                check_ports(FREE | {"management_address": busy, name: f"http://{host}:0"})
            assert caught.value.code == "invalid_host"
            assert host in caught.value.message
            assert f"{option} " in caught.value.fix
    with run_directory(None) as run, pytest.raises(errors.ConfigRefused) as caught:
        render(Settings(metrics_host=host, metrics_port=0), run, [])
    assert caught.value.code == "invalid_host"
    assert "--metrics-host " in caught.value.fix


def test_a_port_that_needs_privileges(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", denied)
    with pytest.raises(errors.ConfigRefused) as caught:
        check_ports(FREE | {"inference_address": "http://127.0.0.1:80"})
    assert caught.value.code == "port_not_permitted"
    assert "--port " in caught.value.fix


def test_reachable_url_of_an_address_for_all_interfaces() -> None:
    assert reachable_url("http://0.0.0.0:8080") == reachable_url("http://[::]:8080") == "http://127.0.0.1:8080"
    assert reachable_url("http://10.0.0.7:8080") == "http://10.0.0.7:8080"
