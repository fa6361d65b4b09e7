"""Tables on the command line, read as over HTTP."""

from __future__ import annotations

import json

import pytest

from fastmar_cli.main import main
from tests.runtime import tiny

HEADER = ",".join(tiny.record())
ROW = ",".join(map(str, tiny.record().values()))


@pytest.fixture
def folder(tmp_path):
    return tiny.write_bundle(tmp_path / "model")


def predict(folder, path, capsys):
    status = main(["predict", str(folder), str(path), "--json"])
    captured = capsys.readouterr()
    return status, [json.loads(line) for line in captured.out.splitlines()], captured.err


@pytest.mark.parametrize("ending", [".csv", ".tsv"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
def test_encodings_of_a_table(folder, tmp_path, capsys, ending, encoding):
    text = f"{HEADER}\n{ROW}\n"
    path = tmp_path / f"rows{ending}"
    path.write_bytes((text.replace(",", "\t") if ending == ".tsv" else text).encode(encoding))
    status, answers, _ = predict(folder, path, capsys)
    assert status == 0
    assert [answer["prediction"] for answer in answers] == [">=50k"]


def test_case_csv_header_only(folder, tmp_path, capsys):
    path = tmp_path / "rows.csv"
    path.write_text(HEADER + "\n")
    status, answers, err = predict(folder, path, capsys)
    assert (status, answers) == (1, [])
    assert "no row behind the header" in err


def test_case_csv_blank_rows(folder, tmp_path, capsys):
    path = tmp_path / "rows.csv"
    path.write_text(f"{HEADER}\n{ROW}\n,,,,\n")
    status, answers, _ = predict(folder, path, capsys)
    assert status == 1
    assert (answers[1]["error"]["code"], answers[1]["error"]["record"]) == ("empty_row", 1)
