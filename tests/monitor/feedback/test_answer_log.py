"""Reads logs as JSON lines and Parquet, and skips what is no answer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from fastmar_contract.errors import FastmarError
from fastmar_monitor.feedback.answer_log import as_time, read_answers
from tests.monitor.feedback import logs

REFUSED = {"error": {"code": "missing_column", "field": "age"}}
ENTRIES = [
    logs.entry("00123", logs.label(0.25)),
    logs.entry("00123", logs.label(0.75), row=1),
    logs.entry("x", REFUSED, version="1.10"),
]
ENTRIES[2]["answer"] = REFUSED


def test_json_lines_and_parquet_are_the_same(tmp_path: Path) -> None:
    """Parquet made by pandas, by pyarrow, and with JSON in its columns."""
    path = logs.lines(tmp_path / "lines" / "deep" / "a.jsonl", ENTRIES)
    (tmp_path / "lines" / "other.txt").write_text("?")
    found = list(read_answers(str(tmp_path / "lines")))
    assert [each and (each.key, each.version, each.time) for each in found] == [
        ("00123", "1.0", logs.START),
        ("00123\x001", "1.0", logs.START),
        ("x", "1.10", logs.START),
    ]
    assert found[1] is not None
    assert found[1].answer["prediction"] == ">=50k"
    pd.read_json(path, lines=True, dtype=False).to_parquet(tmp_path / "pandas.parquet")
    parquet.write_table(pa.Table.from_pylist(ENTRIES), tmp_path / "pyarrow.parquet")
    texts = pd.DataFrame(ENTRIES).assign(answer=[pd.io.json.ujson_dumps(each["answer"]) for each in ENTRIES])
    texts.assign(time=pd.to_datetime(texts["time"])).drop(columns="record").to_parquet(tmp_path / "texts.parquet")
    for name in ("pandas", "pyarrow", "texts"):
        again = list(read_answers(str(tmp_path / f"{name}.parquet")))
        assert again == found, name


@pytest.mark.parametrize(
    "line",
    [
        '{"format": "fastmar-requests/1", "time": ',
        "[]",
        "3",
        '{"format": 9}',
        *(
            pd.io.json.ujson_dumps(ENTRIES[0] | change)
            for change in (
                {"time": "never"},
                {"time": 3},
                {"row": None},
                {"answer": []},
                {"answer": "{"},
                {"format": "x"},
            )
        ),
    ],
)
def test_lines_that_are_no_answers(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.jsonl").write_text(f"{line}\n\n")
    assert list(read_answers(str(tmp_path))) == [None]


def test_an_object_store(tmp_path: Path) -> None:
    path = Path(logs.lines(tmp_path / "a.jsonl", ENTRIES))
    store = fsspec.filesystem("memory")
    store.pipe("/feedback/a.jsonl", path.read_bytes())
    try:
        assert len(list(read_answers("memory://feedback"))) == 3
    finally:
        store.rm("/feedback", recursive=True)
    for data, code in (("strange://a", "source_unknown"), (str(tmp_path / "absent"), "data_unreadable")):
        with pytest.raises(FastmarError) as caught:
            list(read_answers(data))
        assert caught.value.code == code


def test_times() -> None:
    expected = datetime(2026, 3, 1, 12, tzinfo=UTC)
    for value in ("2026-03-01T12:00:00", "2026-03-01T14:00:00+02:00", datetime(2026, 3, 1, 12), expected):
        assert as_time(value) == expected
    with pytest.raises(TypeError):
        as_time(None)
