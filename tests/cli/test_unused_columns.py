"""Columns that a model does not use are reported once for a table, by `predict` and by `score`."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pandas as pd
import pytest

from fastmar_cli.main import main
from fastmar_client.schema import Schema
from fastmar_client.scoring import score_csv
from fastmar_runtime.predictor import Predictor
from fastmar_serving.archive_rows import ArchiveRowModel
from tests.archives import tiny_archive
from tests.runtime import tiny

ROWS = 3
NOTE = "tiny does not use the columns 'id', 'note'."


@pytest.fixture
def archive(tmp_path: Path) -> str:
    return str(tiny_archive(tmp_path))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Rows with the target, which is not reported, and two columns that are."""
    rows = pd.DataFrame([tiny.record()] * ROWS).assign(id=range(ROWS), note="x", salary="<50k")
    path = tmp_path / "tables" / "rows.csv"
    path.parent.mkdir()
    rows.to_csv(path, index=False)
    return path


def test_predict(archive: str, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", archive, str(table), "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err.count(NOTE) == 1
    answers = [json.loads(line) for line in printed.out.splitlines()]
    assert [answer["warnings"] for answer in answers] == [[]] * ROWS
    assert main(["predict", archive, str(table), "--json", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_score(archive: str, table: Path, ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = pd.read_csv(table)
    table.unlink()
    for name in ("a", "b"):  # two tables with the same columns
        path = table.with_name(f"{name}.{ending}")
        if ending == "csv":
            rows.to_csv(path, index=False)
        elif ending == "parquet":
            rows.to_parquet(path)
        else:
            rows.to_json(path, orient="records", lines=True)
    command = ["score", archive, str(table.parent), "-o", str(table.parents[1] / "out.csv"), "--force"]
    assert main(command) == 0
    printed = capsys.readouterr()
    assert printed.err.count(NOTE) == 1
    assert "warnings" not in printed.out
    assert main([*command, "--keep", "id"]) == 0
    assert "tiny does not use the column 'note'." in capsys.readouterr().err


def test_the_client(archive: str, table: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("fastmar_client.scoring")
    log.addHandler(caplog.handler)
    try:
        scored = score_csv(ArchiveRowModel(Predictor.open(archive)), table, tmp_path / "out.csv")
    finally:
        log.removeHandler(caplog.handler)
    assert (scored.rows, scored.warned) == (ROWS, 0)
    assert caplog.text.count(NOTE) == 1


def test_a_table_without_other_columns(archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pd.DataFrame([tiny.record()]).to_csv(tmp_path / "rows.csv", index=False)
    for command in (["predict"], ["score", "-o", str(tmp_path / "out.csv")]):
        assert main([command[0], archive, str(tmp_path / "rows.csv"), *command[1:]]) == 0
    assert "does not use" not in capsys.readouterr().err


def test_a_hint_at_a_misspelt_name() -> None:
    """Of a column that is required, its absence is an error before."""
    properties = {name: {"type": "number"} for name in ("age", "hours")}
    schema = Schema({"name": "m", "kind": "tabular", "record": {"properties": properties, "required": ["age"]}})
    found = schema.unused(["age", "hour", "id"])
    assert found == "m does not use the columns 'hour', 'id'. 'hour': rename it to 'hours', or remove it."
    assert (
        schema.unused(["age", *map(str, range(8))]) == "m does not use the columns '0', '1', '2', '3', '4' and 3 more."
    )
    assert schema.unused(["age"]) is None
