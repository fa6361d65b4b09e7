"""Logged requests become the profile that the worker counted, from JSON lines and from Parquet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import orjson
import pandas as pd
import pytest

from fastmar_contract.errors import FastmarError
from fastmar_contract.request_log import LogOptions
from fastmar_monitor.drift import Drift, measure
from fastmar_monitor.sources import request_log
from fastmar_monitor.verdicts import DRIFT, NONE, NOT_COMPARED
from fastmar_monitor.wording import headline
from fastmar_runtime.golden import GoldenRecords
from fastmar_runtime.logs import RequestIds
from fastmar_runtime.pictures import Picture
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.request_log.entries import EntryWriter, Exchange
from tests.monitor import samples
from tests.runtime import tiny, tiny_pictures

ROWS = 600
START = datetime(2026, 3, 1, 22, tzinfo=UTC)


def log_lines(predictor: Predictor, records: list[Any], **options: Any) -> list[dict[str, Any]]:
    """Entries of requests of three records each, one request a minute from `START` on."""
    writer = EntryWriter(predictor.spec, "digest", LogOptions("", **options), b"salt")
    lines = []
    for at in range(0, len(records), 3):
        time = (START + timedelta(minutes=at // 3)).isoformat()
        answers = predictor.predict(records[at : at + 3])
        lines += writer.lines(Exchange(time, f"{at:032x}", records[at : at + 3], answers, {}))
    return [orjson.loads(line) for line in lines]


def write(path: Path, lines: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return samples.records(ROWS, 1, new=0.1)


@pytest.fixture(scope="module")
def lines(rows: list[Any]) -> list[dict[str, Any]]:
    return log_lines(tiny.predictor(), rows)


@pytest.fixture
def folder(lines: list[Any], tmp_path: Path) -> Path:
    write(tmp_path / "log" / "requests_a.jsonl", lines[:200])
    write(tmp_path / "log" / "requests_b.jsonl", lines[200:])
    return tmp_path / "log"


def counts(drift: Drift) -> dict[str, Any]:
    return drift.live.profile.as_dict()


def expected(archive: Path, rows: list[Any], tmp_path: Path) -> dict[str, Any]:
    """The counts of the records as a data file."""
    return counts(measure(archive, str(write(tmp_path / "data.jsonl", rows))))


def test_the_same_profile_as_of_the_records(archive: Path, rows: list[Any], folder: Path, tmp_path: Path) -> None:
    found = measure(archive, str(folder))
    assert counts(found) == expected(archive, rows, tmp_path)
    assert (found.comparison.verdict, found.live.notices) == (DRIFT, ())
    assert counts(measure(archive, str(folder / "requests_a.jsonl")))["rows"] == 200


def test_parquet_made_by_pandas(archive: Path, rows: list[Any], folder: Path, tmp_path: Path) -> None:
    (tmp_path / "parquet").mkdir()
    for path in folder.iterdir():
        pd.read_json(path, lines=True, dtype=False).to_parquet(tmp_path / "parquet" / f"{path.stem}.parquet")
    for data in (tmp_path / "parquet", tmp_path / "parquet" / "requests_a.parquet"):
        assert request_log.matches(str(data))
    assert counts(measure(archive, str(tmp_path / "parquet"))) == expected(archive, rows, tmp_path)


def test_refused_and_strange_records_in_parquet(archive: Path, tmp_path: Path) -> None:
    records = [*samples.records(30, 1), {"age": "old"}, tiny.record(age=None), tiny.record(workclass=None)]
    path = write(tmp_path / "log.jsonl", log_lines(tiny.predictor(), records))
    frame = pd.read_json(path, lines=True, dtype=False)
    for column in ("record", "answer"):
        frame[column] = [orjson.dumps(value).decode() for value in frame[column]]  # Parquet has no mixed types
    frame.to_parquet(tmp_path / "log.parquet")
    found = measure(archive, str(tmp_path / "log.parquet"))
    assert counts(found) == counts(measure(archive, str(path)))
    assert (found.live.profile.rows, found.live.refused) == (32, 1)


def test_periods_and_since(archive: Path, folder: Path) -> None:
    found = measure(archive, str(folder), by="day")
    assert [(start.day, each.rows) for start, each in found.periods] == [(1, 360), (2, 240)]
    assert [each.rows for _, each in measure(archive, str(folder), by="hour").periods] == [180, 180, 180, 60]
    assert measure(archive, str(folder), since=START + timedelta(hours=2)).live.profile.rows == 240
    with pytest.raises(FastmarError) as caught:
        measure(archive, str(folder), since=START + timedelta(days=9))
    assert caught.value.code == "no_live_data"


@pytest.mark.parametrize("options", [{"drop": ["workclass"]}, {"hash": ["workclass"]}])
def test_hidden_fields_are_left_out(archive: Path, rows: list[Any], tmp_path: Path, options: dict[str, Any]) -> None:
    shown, hidden = log_lines(tiny.predictor(), rows[:300]), log_lines(tiny.predictor(), rows[300:], **options)
    write(tmp_path / "all" / "a.jsonl", hidden)
    found = measure(archive, str(tmp_path / "all"))
    by_name = {each.variable.name: each for each in found.comparison.fields}
    assert (by_name["workclass"].verdict, by_name["workclass"].live.sum()) == (NOT_COMPARED, 0)
    assert by_name["workclass"].reason == ("dropped" if "drop" in options else "hashed")
    assert "1 more could not be compared" in headline(found.comparison)
    assert (by_name["age"].verdict, by_name["age"].live.sum()) == (NONE, 300)
    assert found.comparison.verdict == NONE
    assert [notice.split()[0] for notice in found.live.notices] == ["workclass"]
    write(tmp_path / "all" / "b.jsonl", shown)
    found = measure(archive, str(tmp_path / "all"))
    by_name = {each.variable.name: each for each in found.comparison.fields}
    assert (by_name["workclass"].live.sum(), by_name["age"].live.sum()) == (300, 600)
    assert by_name["workclass"].verdict == DRIFT
    assert "300 of 600" in found.live.notices[0]


@pytest.fixture(scope="module")
def dates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of a model with a date, with a profile."""
    folder = tmp_path_factory.mktemp("dates")
    predictor = Predictor(tiny.date_spec(), tiny.date_graph())
    tiny.write_files(folder, tiny.date_spec(), tiny.date_graph(), tiny.golden(predictor, sales(3)))
    samples.add_profile(folder, predictor, sales(ROWS))
    return folder


def sales(rows: int) -> list[dict[str, Any]]:
    """Records with a date, every second one under another name."""
    return [{("saledate", "sale")[row % 2]: f"2024-{row % 12 + 1:02}-{row % 28 + 1:02}"} for row in range(rows)]


@pytest.mark.parametrize("shape", ["dates", "parts"])
def test_dates_and_their_parts_are_counted_alike(dates: Path, tmp_path: Path, shape: str) -> None:
    rows = sales(ROWS)
    sent = rows if shape == "dates" else [tiny.date_parts(*row.values()) for row in rows]
    write(tmp_path / "log" / "a.jsonl", log_lines(Predictor.open(dates), sent))
    (tmp_path / "rows.json").write_bytes(orjson.dumps(rows))
    assert counts(measure(dates, str(tmp_path / "log"))) == counts(measure(dates, str(tmp_path / "rows.json")))


@pytest.mark.parametrize("options", [{"drop": ["saledate"]}, {"hash": ["saledate"]}])
def test_parts_of_a_hidden_date_are_left_out(dates: Path, tmp_path: Path, options: dict[str, Any]) -> None:
    write(tmp_path / "log" / "a.jsonl", log_lines(Predictor.open(dates), sales(ROWS), **options))
    found = measure(dates, str(tmp_path / "log"))
    assert found.live.profile.rows == ROWS
    reason = "dropped" if "drop" in options else "hashed"
    fields = found.comparison.fields
    assert len(fields) == len(tiny.DATE_PARTS)
    assert {(each.verdict, each.reason) for each in fields} == {(NOT_COMPARED, reason)}


def test_what_is_left_out(archive: Path, lines: list[Any], tmp_path: Path) -> None:
    entry = lines[0]
    others = [
        {**entry, "model": "other"},
        {**entry, "version": "2.0"},
        {**entry, "answer": {"warnings": []}},
        {**entry, "answer": {"error": {"field": None, "code": "bad"}}},
    ]
    damaged = [{**entry, "time": "never"}, {**entry, "format": "?"}, {**entry, "answer": 1}, {**entry, "record": 7}, []]
    damaged.append({**entry, "record": {"age": "old"}})
    path = write(tmp_path / "log.jsonl", [*lines, *others, *damaged])
    with path.open("ab") as file:
        file.write(b'{"format": "fastmar-requests/1", "ti')
    found = measure(archive, str(path))
    assert (found.live.profile.rows, found.live.refused) == (ROWS, 1)
    assert [notice.split()[0] for notice in found.live.notices] == ["7", "1", "1"]


def test_answers_of_another_model(archive: Path, lines: list[Any], tmp_path: Path) -> None:
    strange = [{**lines[0], "answer": {"prediction": "<50k", "probabilities": 7, "warnings": []}}]
    with pytest.raises(FastmarError) as caught:
        measure(archive, str(write(tmp_path / "log.jsonl", strange)))
    assert caught.value.code == "data_unreadable"


def test_pictures_are_compared_by_their_measures(tmp_path: Path) -> None:
    from fastmar_runtime.request_log.logger import RequestLog
    from fastmar_runtime.service import Request, Service

    predictor = tiny_pictures.predictor()
    pictures = [tiny_pictures.picture(colour) for colour in ("red", "blue", "green", "red", "lime")]
    model = tmp_path / "model"
    tiny.write_files(model, predictor.spec, tiny_pictures.graph(), GoldenRecords([], [], {}))
    samples.add_profile(model, predictor, [Picture(picture) for picture in pictures])
    service = Service(predictor, 1 << 20, [RequestLog(predictor.spec, None, LogOptions(str(tmp_path / "log")), {})])
    service.respond([Request([picture], ids=RequestIds("a")) for picture in pictures])
    service.close()
    (tmp_path / "pictures").mkdir()
    for at, picture in enumerate(pictures):
        (tmp_path / "pictures" / f"{at}.png").write_bytes(picture)
    assert counts(measure(model, str(tmp_path / "log"))) == counts(measure(model, str(tmp_path / "pictures")))


def test_an_object_store(archive: Path, folder: Path) -> None:
    store = fsspec.filesystem("memory")
    store.pipe("/bucket/a.jsonl", (folder / "requests_a.jsonl").read_bytes())
    try:
        assert measure(archive, "memory://bucket").live.profile.rows == 200
    finally:
        store.rm("/bucket", recursive=True)


def test_other_data_is_no_log(tmp_path: Path, folder: Path) -> None:
    assert request_log.matches(str(folder))
    write(tmp_path / "rows.jsonl", [tiny.record()])
    (tmp_path / "empty").mkdir()
    pd.DataFrame([tiny.record()]).to_parquet(tmp_path / "rows.parquet")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")
    names = ("rows.jsonl", "empty", "rows.parquet", "damaged.parquet", "absent", "absent.csv")
    assert not [name for name in names if request_log.matches(str(tmp_path / name))]
    assert not request_log.matches("http://127.0.0.1:8082")
    assert not request_log.matches("strange://bucket")


def test_the_most_probable_labels_in_parquet(tmp_path: Path) -> None:
    """Of the others Parquet has nulls, since the answers name different labels."""
    model = tiny.spec(decode={**tiny.CATEGORY_DECODER, "top": 1})
    archive = tiny.write_bundle(tmp_path / "top", model)
    predictor = Predictor.open(archive)
    records = samples.records(300, 1)
    samples.add_profile(archive, predictor, records)
    path = write(tmp_path / "log.jsonl", log_lines(predictor, records))
    assert len({line["answer"]["prediction"] for line in map(orjson.loads, path.read_bytes().splitlines())}) == 2
    pd.read_json(path, lines=True, dtype=False).to_parquet(tmp_path / "log.parquet")
    assert counts(measure(archive, str(tmp_path / "log.parquet"))) == counts(measure(archive, str(path)))
