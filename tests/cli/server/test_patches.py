from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from fastmar_cli.server.classfile import UnexpectedClass, read_class
from fastmar_cli.server.java import find_torchserve
from fastmar_cli.server.patches import write_patched_classes


def test_what_is_parsed_is_written_back() -> None:
    with zipfile.ZipFile(find_torchserve().jar) as jar:
        for name in ("util/NettyUtils", "ModelServer", "ServerInitializer", "wlm/WorkerThread"):
            data = jar.read(f"org/pytorch/serve/{name}.class")
            assert read_class(data).to_bytes() == data


def test_the_answering_method_is_wrapped(tmp_path: Path) -> None:
    assert (
        write_patched_classes(
            find_torchserve().jar, tmp_path, drain_file=Path("/run/drain"), handover=Path("/run/handover")
        )
        == []
    )
    patched = read_class((tmp_path / "org/pytorch/serve/util/NettyUtils.class").read_bytes())
    names = [patched.text(method.name) for method in patched.methods]
    assert {"sendHttpResponse", "sendHttpResponseAsBefore"} <= set(names)
    assert b"/run/drain" in patched.to_bytes()


def test_sockets_are_handed_over_where_they_are_bound(tmp_path: Path) -> None:
    write_patched_classes(find_torchserve().jar, tmp_path, drain_file=Path("/d"), handover=Path("/run/handover"))
    patched = read_class((tmp_path / "org/pytorch/serve/ModelServer.class").read_bytes())
    assert "handOver" in [patched.text(method.name) for method in patched.methods]
    assert b"/run/handover" in patched.to_bytes()


def test_another_torchserve_is_left_alone(tmp_path: Path) -> None:
    jar = tmp_path / "other.jar"
    with zipfile.ZipFile(jar, "w") as made:
        made.writestr("org/pytorch/serve/ModelServer.class", b"\xca\xfe\xba\xbe\x00\x00\x00\x34\x00\x05")
    problems = write_patched_classes(
        jar, tmp_path / "out", drain_file=tmp_path / "drain", handover=tmp_path / "handover"
    )
    assert len(problems) == 3
    assert not (tmp_path / "out").exists()
    with pytest.raises(UnexpectedClass):
        read_class(b"#!/bin/sh")
