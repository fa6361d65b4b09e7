"""Reads tables with the truth, and counts rows that are empty, repeated, contradicting or invalid."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fastmar_contract.errors import FastmarError
from fastmar_monitor.feedback.kinds import AnswerKind, kind_for
from fastmar_monitor.feedback.truths import Truths, read_truths
from tests.monitor.feedback import logs
from tests.runtime import tiny

ROWS = [
    {"request_id": "00123", "row": 0, "salary": "<50k", "time": "2026-03-03T00:00:00+00:00"},
    {"request_id": "00123", "row": 1, "salary": ">=50k", "time": None},
    {"request_id": "y", "row": None, "salary": ">=50k", "time": None},
]
FOUND = {"00123": (0,), "00123\x001": (1,), "y": (1,)}


@pytest.fixture
def kind() -> AnswerKind:
    return kind_for(tiny.spec())


def values(truths: Truths) -> dict[str, tuple[float, ...]]:
    return {key: truth.values for key, truth in truths.by_key.items()}


def test_all_formats_give_the_same(kind: AnswerKind, tmp_path: Path) -> None:
    table = pd.DataFrame(ROWS)
    table.to_csv(tmp_path / "a.csv", index=False)
    table.to_csv(tmp_path / "b.tsv", index=False, sep="\t")
    table.to_csv(tmp_path / "utf16.csv", index=False, encoding="utf-16", sep=";")
    table.to_parquet(tmp_path / "c.parquet")
    table.assign(time=pd.to_datetime(table["time"])).to_parquet(tmp_path / "dates.parquet")
    logs.lines(tmp_path / "d.jsonl", ROWS)
    for path in sorted(tmp_path.iterdir()):
        found = read_truths([str(path)], kind, ["salary"])
        assert values(found) == FOUND, path.name
        assert found.by_key["00123"].time == datetime(2026, 3, 3, tzinfo=UTC), path.name
        assert (found.rows, found.invalid, found.by_key["y"].time) == (3, 0, None), path.name
    every = read_truths([str(tmp_path)], kind, ["salary"])
    assert (every.rows, every.repeated, every.conflicting) == (18, 15, 0)


def test_what_is_counted(kind: AnswerKind) -> None:
    found = Truths()
    rows: list[Any] = [
        {"request_id": "a", "salary": "<50k"},
        {"request_id": "a", "salary": " <50k "},  # the same
        {"request_id": "b", "salary": "<50k"},
        {"request_id": "b", "salary": ">=50k"},
        {"request_id": "c", "salary": ""},
        {"request_id": "", "salary": "<50k"},
        {"salary": "<50k"},
        {"request_id": "d", "salary": "<50k", "row": "first"},
        {"request_id": "e"},
        None,
    ]
    found.add(rows, kind, ["salary"])
    assert values(found) == {"a": (0,), "b": (1,)}
    assert (found.rows, found.repeated, found.conflicting, found.empty, found.invalid) == (10, 1, 1, 1, 5)
    assert len(found.examples) == 3


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("a.csv", "request_id,income\nx,1\n", "truth_column_missing"),
        ("a.csv", "salary\n<50k\n", "truth_column_missing"),
        ("a.csv", "one,two\n1,2\n", "truth_column_missing"),
        ("a.csv", "", "truth_column_missing"),
        ("a.csv", "request_id,salary,salary\nx,1,2\n", "table_unreadable"),
        ("a.jsonl", '{"request_id": "x"}\n', "truth_column_missing"),
        ("a.jsonl", "[]\n", "truth_column_missing"),
        ("a.txt", "", "truth_unreadable"),
        ("a.parquet", "no parquet", "data_unreadable"),
        (None, "", "data_unreadable"),
    ],
)
def test_errors(kind: AnswerKind, tmp_path: Path, name: str | None, text: str, code: str) -> None:
    path = tmp_path / (name or "absent.csv")
    if name:
        path.write_text(text)
    with pytest.raises(FastmarError) as caught:
        read_truths([str(path)], kind, ["salary"])
    assert caught.value.code == code


def test_rows_that_are_not_tables(kind: AnswerKind, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'request_id,salary\na,<50k\nb,"open\nc\nd,\xff\ne,>=50k\n')
    found = read_truths([str(path)], kind, ["salary"])
    assert (values(found), found.rows, found.invalid) == ({"a": (0,), "e": (1,)}, 5, 3)
    lines = tmp_path / "a.jsonl"
    lines.write_text('{"request_id": "a", "salary": "<50k"}\n{\n[]\n\n')
    assert read_truths([str(lines)], kind, ["salary"]).invalid == 2
    lines.write_text("")
    assert read_truths([str(lines)], kind, ["salary"]).rows == 0
