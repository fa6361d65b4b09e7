from __future__ import annotations

import errno
import os
import stat
import subprocess
from pathlib import Path

import pytest

from fastmar_serving import errors
from fastmar_serving.run_directory import MAX_RUN_PATH, RunDirectory, run_directory


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


def test_a_full_disk_is_named_with_its_fix(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigRefused) as caught, run_directory(tmp_path / "run") as run:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), run.config)
    assert caught.value.code == "disk_full"
    assert "config.properties" in caught.value.message
    assert "FASTMAR_UNPACKED" in caught.value.fix


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
