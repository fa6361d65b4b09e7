"""Pictures as bodies of requests, and the table of stages."""

from __future__ import annotations

import io
import json
from pathlib import Path

from benchmarks.load import read_bodies, request_bytes
from benchmarks.pictures import stages, stages_table
from rich.console import Console
from tests.pictures import file_of, make_learner, picture

from fastmar_export.exporter import Options, export_learner


def test_bodies_are_records_or_files(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff")
    listed = tmp_path / "requests.json"
    listed.write_text(json.dumps([str(tmp_path / "a.jpg")]))
    assert read_bodies(listed, "image/jpeg") == [b"\xff\xd8\xff"]
    listed.write_text(json.dumps([{"a": 1}]))
    assert read_bodies(listed, "application/json") == [b'{"a": 1}']


def test_request_has_content_type_and_length() -> None:
    request = request_bytes("host", "/x", b"\xff\xd8\xff", "image/jpeg")
    head, _, body = request.partition(b"\r\n\r\n")
    assert b"Content-Type: image/jpeg" in head
    assert b"Content-Length: 3" in head
    assert body == b"\xff\xd8\xff"


def test_stages_of_a_picture(tmp_path: Path) -> None:
    make_learner(tmp_path / "pictures").export(tmp_path / "learner.pkl")
    archive = export_learner(tmp_path / "learner.pkl", Options("m", output=tmp_path)).path
    (tmp_path / "a.jpg").write_bytes(file_of(picture("red", 1)))
    times = stages(archive, [tmp_path / "a.jpg"] * 5, 1)
    assert list(times) == ["decode", "resize", "to an array", "graph", "answer"]
    assert all(time >= 0 for time in times.values())
    assert times["decode"] > 0
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(stages_table({"decode": 1.0, "graph": 3.0}))
    printed = console.export_text()
    assert "4.0 ms" in printed
    assert "75%" in printed
