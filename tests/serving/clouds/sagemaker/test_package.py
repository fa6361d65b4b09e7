"""The content of model.tar.gz, and that the same archives give the same bytes."""

from __future__ import annotations

import os
import tarfile
import time
from pathlib import Path

import pytest
from tests.serving.archives import make_archive
from tests.serving.torchserve.conftest import ECHO

from fastmar_cli.main import main
from fastmar_serving.clouds.sagemaker.errors import RequestRefused
from fastmar_serving.clouds.sagemaker.package import package
from fastmar_serving.errors import ArchiveRefused


@pytest.fixture
def flights(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "store", "flights", ECHO)


def test_archives_are_in_the_root_folder_and_readable_for_all(flights: Path, tmp_path: Path) -> None:
    flights.chmod(0o600)
    packed = package([flights], tmp_path / "model.tar.gz")
    with tarfile.open(packed.path) as tar:
        (member,) = tar.getmembers()
        file = tar.extractfile(member)
        assert file is not None
        assert file.read() == flights.read_bytes()
    assert (member.name, member.mode, member.uid, member.uname) == ("flights-1.0.mar", 0o644, 0, "")


def test_the_same_archives_give_the_same_bytes(flights: Path, tmp_path: Path) -> None:
    second = make_archive(tmp_path / "store", "flights", ECHO, version="2.0")
    one = package([flights, second], tmp_path / "one.tar.gz")
    os.utime(flights, (time.time() + 1000, time.time() + 1000))
    other = package([second, flights], tmp_path / "elsewhere" / "other.tar.gz")
    assert one.path.read_bytes() == other.path.read_bytes()
    assert one.path.read_bytes()[4:8] == bytes(4), "gzip's own time"
    assert one.digest == other.digest
    assert one.label == "flights 1.0, flights 2.0"


def test_another_archive_gives_another_digest(flights: Path, tmp_path: Path) -> None:
    one = package([flights], tmp_path / "one.tar.gz")
    flights = make_archive(tmp_path / "store", "flights", ECHO + "\n# changed\n")
    assert package([flights], tmp_path / "two.tar.gz").digest != one.digest


def test_refuses_two_models(flights: Path, tmp_path: Path) -> None:
    other = make_archive(tmp_path / "store", "textures", ECHO)
    with pytest.raises(RequestRefused) as refused:
        package([flights, other], tmp_path / "model.tar.gz")
    assert refused.value.code == "several_models"
    assert "flights, textures" in refused.value.message


def test_refuses_the_same_version_twice(flights: Path, tmp_path: Path) -> None:
    other = make_archive(tmp_path / "other", "flights", ECHO)
    with pytest.raises(RequestRefused) as refused:
        package([flights, other], tmp_path / "model.tar.gz")
    assert refused.value.code == "duplicate_archive"
    assert "version 1.0" in refused.value.message


def test_refuses_a_damaged_archive_and_writes_nothing(flights: Path, tmp_path: Path) -> None:
    flights.write_bytes(flights.read_bytes()[:-100])
    with pytest.raises(ArchiveRefused):
        package([flights], tmp_path / "model.tar.gz")
    assert not list(tmp_path.glob("model*"))


def test_names_an_output_that_is_not_writable(flights: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RequestRefused) as refused:
        package([flights], tmp_path / "file" / "model.tar.gz")
    assert refused.value.code == "output_not_writable"
    assert "file/model.tar.gz" in refused.value.message


def test_the_command(flights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "model.tar.gz"
    assert main(["sagemaker", "package", str(flights), "-o", str(output)]) == 0
    assert output.exists()
    assert "flights 1.0" in capsys.readouterr().out
