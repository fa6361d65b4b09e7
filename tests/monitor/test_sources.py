"""Data files and profile files become the profile of the same records."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import orjson
import pandas as pd
import pytest

from fastmar_contract.errors import FastmarError
from fastmar_monitor.drift import Drift, measure
from fastmar_monitor.sources import profile_files
from fastmar_monitor.verdicts import DRIFT, NONE, NOT_ENOUGH_DATA
from fastmar_runtime.golden import GoldenRecords
from fastmar_runtime.pictures import Picture
from tests.local_s3 import local_s3
from tests.monitor import samples
from tests.runtime import tiny, tiny_pictures

ROWS = 600


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return samples.records(ROWS, 1, new=0.1)


def code(archive: Path, data: Any, **options: Any) -> str:
    with pytest.raises(FastmarError) as caught:
        measure(archive, str(data), **options)
    return caught.value.code


def counts(drift: Drift) -> dict[str, Any]:
    return drift.live.profile.as_dict()


class TestDataFiles:
    def test_all_formats_give_the_same_profile(self, archive: Path, rows: list[Any], tmp_path: Path) -> None:
        table = pd.DataFrame(rows)
        table.to_csv(tmp_path / "data.csv", index=False)
        table.to_parquet(tmp_path / "data.parquet")
        (tmp_path / "data.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        (tmp_path / "data.json").write_text(json.dumps(rows))
        files = sorted(tmp_path.iterdir())
        first, *others = [measure(archive, str(path)) for path in files]
        assert first.comparison.rows == ROWS
        assert first.comparison.verdict == DRIFT
        assert [counts(other) for other in others] == [counts(first)] * 3

    def test_refused_records_are_counted(self, archive: Path, rows: list[Any], tmp_path: Path) -> None:
        path = tmp_path / "data.jsonl"
        path.write_text("".join(f"{json.dumps(row)}\n" for row in [*rows, {"age": "old"}, {"hours": 3}]))
        seen: list[int] = []
        found = measure(archive, str(path), on_progress=seen.append)
        assert (found.comparison.rows, found.live.refused) == (ROWS, 2)
        assert found.as_dict()["refused"] == 2
        assert seen[-1] == ROWS + 2
        path.write_text('{"age": "old"}\n')
        assert code(archive, path) == "no_live_data"

    def test_a_folder_of_pictures(self, tmp_path: Path) -> None:
        predictor = tiny_pictures.predictor()
        folder, model = tmp_path / "pictures", tmp_path / "model"
        folder.mkdir()
        pictures = [tiny_pictures.picture(colour) for colour in ("red", "blue", "green", "red")]
        for at, picture in enumerate(pictures):
            (folder / f"{at}.png").write_bytes(picture)
        (folder / "broken.png").write_bytes(b"no picture")
        tiny.write_files(model, predictor.spec, tiny_pictures.graph(), GoldenRecords([], [], {}))
        samples.add_profile(model, predictor, [Picture(picture) for picture in pictures])
        found = measure(model, str(folder))
        assert (found.comparison.verdict, found.comparison.rows, found.live.refused) == (NOT_ENOUGH_DATA, 4, 1)
        assert {each.variable.source for each in found.comparison.fields} == {"measure"}

    def test_errors(self, archive: Path, tmp_path: Path) -> None:
        path = tmp_path / "data.csv"
        path.write_text("age,hours\n3,4\n")
        assert code(archive, path, by="day") == "no_times"
        assert code(archive, path, since=datetime.now(UTC)) == "no_times"
        assert code(archive, tmp_path / "absent.csv") == "data_unreadable"
        assert code(tmp_path / "absent.mar", path) == "bundle_not_found"

    def test_an_archive_without_a_profile(self, tmp_path: Path) -> None:
        path = samples.picture_archive(tmp_path / "tiny")
        assert code(path, "data.csv") == "no_profile"


class TestProfileFiles:
    """Their records are those of the data file."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "profiles" / "deep"
        folder.mkdir(parents=True)
        lines = [
            samples.profile_line(300, 1, "2026-03-01T10:00:00+00:00"),
            samples.profile_line(300, 2, "2026-03-01T11:30:00+00:00"),
            samples.profile_line(300, 3, "2026-03-02T01:30:00+02:00"),  # the first of March in UTC
            samples.profile_line(300, 4, "2026-03-02T10:00:00+00:00", new=0.2),
        ]
        (folder / "a.jsonl").write_bytes(b"".join(lines[:2]))
        (folder / "b.jsonl").write_bytes(b"".join(lines[2:]))
        return folder.parent

    def test_profiles_add_up(self, archive: Path, folder: Path, tmp_path: Path) -> None:
        records = [row for seed in (1, 2, 3) for row in samples.records(300, seed)] + samples.records(300, 4, new=0.2)
        path = tmp_path / "data.json"
        path.write_text(json.dumps(records))
        assert counts(measure(archive, str(folder))) == counts(measure(archive, str(path)))
        assert counts(measure(archive, str(folder / "deep" / "a.jsonl")))["rows"] == 600

    def test_periods(self, archive: Path, folder: Path) -> None:
        days = measure(archive, str(folder), by="day")
        assert [(start.isoformat(), each.rows, each.verdict) for start, each in days.periods] == [
            ("2026-03-01T00:00:00+00:00", 900, NONE),
            ("2026-03-02T00:00:00+00:00", 300, DRIFT),
        ]
        assert [each["rows"] for each in days.as_dict()["periods"]] == [900, 300]
        assert len(measure(archive, str(folder), by="hour").periods) == 4
        assert measure(archive, str(folder)).periods == ()

    def test_since(self, archive: Path, folder: Path) -> None:
        assert measure(archive, str(folder), since=datetime(2026, 3, 2, tzinfo=UTC)).comparison.rows == 300
        assert code(archive, folder, since=datetime(2027, 1, 1, tzinfo=UTC)) == "no_live_data"

    def test_other_profiles_are_left_out(self, archive: Path, folder: Path) -> None:
        others = [
            samples.profile_line(300, 5, "2026-03-01", model="other", shift=3.0),
            samples.profile_line(300, 5, "2026-03-01", version="2.0", shift=3.0),
            samples.profile_line(300, 5, "2026-03-01", digest="0" * 16, shift=3.0),
        ]
        (folder / "c.jsonl").write_bytes(b"".join(others))
        found = measure(archive, str(folder))
        assert found.comparison.rows == 1200
        assert len(found.live.notices) == 2  # the other version, and the other reference
        assert code(archive, folder / "c.jsonl") == "no_live_data"

    def test_unreadable_lines_are_reported(self, archive: Path, folder: Path) -> None:
        """The last line may be cut off, because its worker was killed."""
        line = orjson.loads(samples.profile_line(300, 5, "2026-03-01"))
        lines = [line | {"counts": [[1]]}, line | {"rows": -1}, line | {"start": "never"}, line | {"format": 9}, []]
        text = b"\n".join(map(orjson.dumps, lines)) + b'\n\n{"format": 1, "mod'
        (folder / "c.jsonl").write_bytes(text)
        found = measure(archive, str(folder))
        assert found.comparison.rows == 1200
        assert [notice.split()[0] for notice in found.live.notices] == ["6"]

    def test_killed_workers_are_reported(self, archive: Path, folder: Path) -> None:
        line = orjson.loads(samples.profile_line(300, 5, "2026-03-02"))
        (folder / "c.jsonl").write_bytes(orjson.dumps(line | {"after_kill": True}))
        [notice] = measure(archive, str(folder)).live.notices
        assert "killed once" in notice

    def test_an_object_store(self, archive: Path, folder: Path) -> None:
        store = fsspec.filesystem("memory")
        store.pipe("/bucket/a.jsonl", (folder / "deep" / "a.jsonl").read_bytes())
        store.pipe("/bucket/other.txt", b"?")
        try:
            found = measure(archive, "memory://bucket")
        finally:
            store.rm("/bucket", recursive=True)
        assert (found.comparison.rows, found.live.notices) == (600, ())
        assert code(archive, "memory://absent") == "no_live_data"
        assert code(archive, "strange://bucket") == "source_unknown"

    def test_s3(self, archive: Path, folder: Path) -> None:
        """A local S3: a folder of the profiles of two servers, one file, and what is not there."""
        with local_s3("bucket") as store:
            for name in ("a", "b"):
                store.upload_file(str(folder / "deep" / f"{name}.jsonl"), "bucket", f"profiles/{name}/today.jsonl")
            found = measure(archive, "s3://bucket/profiles", by="day")
            assert counts(found) == counts(measure(archive, str(folder)))
            assert [each.rows for _, each in found.periods] == [900, 300]
            assert measure(archive, "s3://bucket/profiles/b/today.jsonl").comparison.rows == 600
            assert code(archive, "s3://bucket/nothing") == "no_live_data"
            assert code(archive, "s3://absent/profiles") in ("no_live_data", "data_unreadable")

    def test_records_as_json_lines_are_no_profiles(self, tmp_path: Path) -> None:
        path = tmp_path / "data.jsonl"
        path.write_text('{"age": 3}\n')
        assert not profile_files.matches(str(path))
        path.write_text("")
        assert not profile_files.matches(str(path))
        assert not profile_files.matches(str(tmp_path / "absent.jsonl"))
