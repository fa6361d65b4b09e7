"""Tables in a pipe, where no terminal limits their width."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fastmar_cli.main import main
from fastmar_contract.values import NUMBER
from fastmar_runtime.spec import Field
from tests.archives import tiny_archive
from tests.runtime import tiny

WIDTH = 100
WIDTH_OF_TWO_TEXTS = 120


def widest(printed: str) -> int:
    return max(map(len, printed.splitlines()))


def test_refusals_are_wrapped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records = [tiny.record(), tiny.record(age="x" * 200), {}, tiny.record(workclass="never", unused=1)]
    (tmp_path / "records.json").write_text(json.dumps(records))
    assert main(["predict", str(tiny_archive(tmp_path)), str(tmp_path / "records.json")]) == 1
    printed = capsys.readouterr().out
    assert printed.count("refused") == 2
    assert "Fix:" in printed
    assert widest(printed) <= WIDTH


def test_changes_are_wrapped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, *others = tiny.FIELDS
    fields = (replace(first, categories=tuple(f"category {at}" for at in range(50))), *others, Field("new", NUMBER))
    paths = []
    for name, spec in (("old", tiny.spec()), ("new", tiny.spec(fields=fields))):
        (tmp_path / name).mkdir()
        paths.append(str(tiny.write_bundle(tmp_path / name, spec)))
    assert main(["diff", *paths]) == 3
    *tables, _ = capsys.readouterr().out.splitlines()  # the last line has the paths of the archives
    assert widest("\n".join(tables)) <= WIDTH_OF_TWO_TEXTS
