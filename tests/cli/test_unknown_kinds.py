"""A served model of a kind that is not installed here: its schema is enough."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from fastmar_cli.main import main
from fastmar_client.testing import FakeServer
from fastmar_serving import targets
from tests.client.test_unknown_kinds import NESTED, TOY

URL = "http://127.0.0.1:1/predictions/toy"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Replaces the client by that of a fake server."""

    def of(schema: Any) -> FakeServer:
        fake = FakeServer(schema)
        fake.answer("toy", lambda record: {"prediction": record.get("text", "none")})
        monkeypatch.setattr(targets, "_client", lambda *_: fake.client())
        return fake

    return of


def test_records_and_rows_are_answered(serve: Any, tmp_path: Path, capsys: Any) -> None:
    fake = serve(TOY)
    (tmp_path / "in.json").write_text('[{"text": "a"}, {"text": "b"}]')
    (tmp_path / "in.jsonl").write_text('{"text": "c"}\n{"text": "d"}\n')
    (tmp_path / "in.csv").write_text("text,stars\ne,1\n007,\n")
    files = [str(tmp_path / f"in{ending}") for ending in (".json", ".jsonl", ".csv")]
    assert main(["predict", URL, *files, "--json"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["prediction"] for answer in answers] == ["a", "b", "c", "d", "e", "007"]
    assert fake.requests[-1].records == [{"text": "e", "stars": 1}, {"text": "007"}]
    assert fake.requests[-1].path == "/predictions/toy/1.0"  # all rows are scored by one version
    assert main(["predict", URL, files[0]]) == 0
    assert main(["score", URL, files[2], "-o", str(tmp_path / "out.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["prediction"] for row in rows] == ["e", "007"]


def test_table_is_refused_if_records_are_not_flat(serve: Any, tmp_path: Path, capsys: Any) -> None:
    serve(NESTED)
    (tmp_path / "in.csv").write_text("spans\n1\n")
    assert main(["predict", URL, str(tmp_path / "in.csv")]) == 1
    assert "InputUnreadable: " in capsys.readouterr().err
