"""Files in and files out: formats, columns, errors, and runs that are interrupted.

With FASTMAR_LONG_TESTS=1, `fastmar score` is killed 51 times.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastmar_bulk import part_folders, parts
from fastmar_bulk.files import score_files
from fastmar_bulk.layout import Options
from fastmar_bulk.outputs import errors_file
from fastmar_client.errors import CsvUnreadable, CsvUnwritable, RecordRefused, ResumeRefused
from fastmar_client.scoring import Scored, score_csv
from fastmar_runtime.predictor import Predictor
from fastmar_serving.archive_rows import ArchiveRowModel
from fastmar_serving.targets import ArchiveTarget
from tests.archives import tiny_archive
from tests.runtime import tiny

ROWS = 100
KILLS = 17 if os.environ.get("FASTMAR_LONG_TESTS") else 1
FORMATS = ["csv", "parquet", "arrow", "jsonl"]


@pytest.fixture(scope="module")
def model() -> Predictor:
    return tiny.predictor()


def table(rows: int = ROWS) -> pd.DataFrame:
    rng = Random(0)
    return pd.DataFrame(
        {
            "id": range(rows),
            "workclass": [rng.choice([" Private", "Private", " State-gov", "never", 'a,"b"']) for _ in range(rows)],
            "grade": [rng.choice([3, 7, 11]) for _ in range(rows)],
            "vip": [rng.random() < 0.5 for _ in range(rows)],
            "age": [None if rng.random() < 0.1 else rng.uniform(20, 60) for _ in range(rows)],
            "hours": [None if rng.random() < 0.1 else rng.randrange(10, 60) for _ in range(rows)],
        }
    )


def write(path: Path, frame: pd.DataFrame) -> Path:
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        frame.to_parquet(path, row_group_size=30)
    elif path.suffix == ".arrow":
        frame.to_feather(path, compression="uncompressed")
    else:
        frame.to_json(path, orient="records", lines=True, double_precision=15)
    return path


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]
    if path.suffix == ".arrow":
        with pa.memory_map(str(path)) as file:
            return pa.ipc.open_file(file).read_all().to_pylist()  # type: ignore[no-any-return]
    if path.suffix == ".csv":
        frame = pd.read_csv(path, keep_default_na=False)
        return frame.astype(object).where(frame != "", None).to_dict("records")  # type: ignore[return-value]
    return [json.loads(line) for line in path.read_text().splitlines()]


def score(model: Predictor, source: Path, target: Path, **options: Any) -> Scored:
    return score_files(model, "tiny", str(source), str(target), Options(**options))


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_formats(model: Predictor, tmp_path: Path, source: str, output: str) -> None:
    columns = ["id", "prediction", "probabilities", "error_code"]
    path = write(tmp_path / f"in.{source}", table())
    scored = score(model, path, tmp_path / f"out.{output}", columns=columns, batch_size=16, workers=2)
    records = table().drop(columns="id").astype(object).where(table().notna(), None).to_dict("records")
    answers = model.predict(records)
    refused = sum("error" in answer for answer in answers)
    assert 0 < refused < ROWS
    assert (scored.rows, scored.errors, scored.share) == (ROWS, refused, 1.0)
    rows = read(tmp_path / f"out.{output}")
    assert [int(row["id"]) for row in rows] == list(range(ROWS))
    for row, answer in zip(rows, answers, strict=True):
        assert row["prediction"] == answer.get("prediction")
        assert row["error_code"] == answer.get("error", {}).get("code")
        if "error" not in answer:
            found = {label: float(row[f"probability_{label}"]) for label in answer["probabilities"]}
            assert found == answer["probabilities"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([f"in.{source}", f"out.{output}"])


@pytest.mark.parametrize(
    "decode",
    [tiny.CATEGORY_DECODER, tiny.MULTI_DECODER, tiny.ONE_NUMBER_DECODER, tiny.TWO_NUMBERS_DECODER, tiny.RAW_DECODER],
)
@pytest.mark.parametrize(
    "columns", [None, ["prediction"], ["error", "input", "probabilities", "prediction", "warnings"]]
)
def test_csv_is_the_csv_of_the_client(decode: Any, columns: list[str] | None, tmp_path: Path) -> None:
    model = tiny.predictor(decode=decode)
    if columns and len(columns) > 1 and "vocab" not in decode:
        columns = [name for name in columns if name != "probabilities"]
    path = write(tmp_path / "in.csv", table().rename(columns={"id": "prediction"}))
    text = path.read_text().replace("\n", "\r\n")
    path.write_text("\ufeff" + text + "1,2\r\n,,,,,\r\n", newline="")
    score(model, path, tmp_path / "out.csv", columns=columns, batch_size=30)
    score_csv(ArchiveRowModel(model), path, tmp_path / "client.csv", columns=columns)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "client.csv").read_bytes()


def test_folders_patterns_and_compression(model: Predictor, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        write(tmp_path / "in" / f"{number}.parquet", table()[number * 30 : number * 30 + 30])
    score(model, tmp_path / "in", tmp_path / "folder.csv.gz")
    score(model, tmp_path / "in" / "[01].parquet", tmp_path / "pattern.csv")
    assert len(pd.read_csv(tmp_path / "folder.csv.gz")) == 90
    assert list(pd.read_csv(tmp_path / "pattern.csv")["id"]) == list(range(60))
    with pytest.raises(CsvUnreadable, match="Fix: "):
        score(model, tmp_path / "none*.csv", tmp_path / "out.csv")


def test_separate_errors(model: Predictor, tmp_path: Path) -> None:
    path = write(tmp_path / "in.parquet", table())
    scored = score(model, path, tmp_path / "out.parquet", errors="separate", keep=["id"], batch_size=10)
    rows, refused = read(tmp_path / "out.parquet"), read(tmp_path / "out.errors.parquet")
    assert (len(rows), len(refused)) == (ROWS - scored.errors, scored.errors)
    assert {row["error_code"] for row in refused} == {"null_not_filled"}
    assert "error" not in rows[0]
    assert sorted(row["id"] for row in rows + refused) == list(range(ROWS))
    assert errors_file("a/b.csv.gz") == "a/b.errors.csv.gz"


def test_the_first_error_ends_the_run(model: Predictor, tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", table())
    first = int(table()["hours"].isna().to_numpy().nonzero()[0][0])
    with pytest.raises(RecordRefused) as refused:
        score(model, path, tmp_path / "out.csv", errors="fail", batch_size=7)
    assert (refused.value.code, refused.value.field) == ("null_not_filled", "hours")
    assert f"row {first + 1}:" in refused.value.message
    assert not (tmp_path / "out.csv").exists()


def test_json_lines_with_bad_records(model: Predictor, tmp_path: Path) -> None:
    records = [tiny.record(), tiny.record(age=...), tiny.record(age="x"), tiny.record(workclass=[1])]
    lines = [*map(json.dumps, records), "{broken", "3", "", json.dumps(tiny.record())]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))
    score(model, tmp_path / "in.jsonl", tmp_path / "out.jsonl", columns=["age", "prediction", "error_code"])
    rows = read(tmp_path / "out.jsonl")
    codes = [None, "missing_column", "not_a_number", "not_a_value", "bad_json", "not_an_object", None]
    assert [row["error_code"] for row in rows] == codes
    assert ["age" in row for row in rows] == [True, False, True, True, False, False, True]


@pytest.mark.parametrize(
    ("change", "options", "kind", "code"),
    [
        ({"age": "agee"}, {}, CsvUnreadable, "missing_column"),
        ({}, {"keep": ["none"]}, CsvUnwritable, "unknown_column"),
        ({}, {"columns": ["none"]}, CsvUnwritable, "unknown_column"),
    ],
)
def test_refusals(model: Predictor, tmp_path: Path, change: Any, options: Any, kind: Any, code: str) -> None:
    path = write(tmp_path / "in.parquet", table().rename(columns=change))
    with pytest.raises(kind) as refused:
        score(model, path, tmp_path / "out.csv", **options)
    assert refused.value.code == code


def test_targets_that_are_refused(model: Predictor, tmp_path: Path) -> None:
    path = write(tmp_path / "in.csv", table())
    (tmp_path / "out.csv").write_text("mine")
    for target, code in (("out.csv", "file_exists"), ("in.csv", "same_file"), ("x.xlsx", "unknown_ending")):
        with pytest.raises(CsvUnwritable) as refused:
            score(model, path, tmp_path / target, overwrite=target == "in.csv")
        assert refused.value.code == code
    with pytest.raises(CsvUnwritable):
        score(model, path, tmp_path / "out.csv" / "below a file.csv")
    assert (tmp_path / "out.csv").read_text() == "mine"
    (tmp_path / "empty.parquet").write_bytes(b"")
    with pytest.raises(CsvUnreadable):
        score(model, tmp_path / "empty.parquet", tmp_path / "y.csv")
    with pytest.raises(CsvUnreadable) as unreadable:
        score(model, write(tmp_path / "no_rows.parquet", table()[:0]), tmp_path / "y.csv")
    assert unreadable.value.code == "no_rows"


class TestInterruptions:
    @pytest.mark.parametrize("output", FORMATS)
    def test_a_resumed_run_has_the_same_bytes(
        self, model: Predictor, tmp_path: Path, output: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write(tmp_path / "in.parquet", table())
        score(model, path, tmp_path / f"whole.{output}", batch_size=10)
        target = tmp_path / f"out.{output}"
        runs: list[int] = []
        for sync in (1, 4, 6):
            with monkeypatch.context() as patched:
                patched.setattr(part_folders.os, "fsync", interruption(sync))
                with pytest.raises(KeyboardInterrupt):
                    score(model, path, target, batch_size=10, workers=1)
            runs.append(parts.rows_kept(str(target)))
        assert runs == [0, 30, 80]  # the first run wrote the description
        resumed: list[Scored] = []
        score(model, path, target, batch_size=10, progress=resumed.append)
        assert resumed[0].rows == resumed[0].resumed == 80
        assert target.read_bytes() == (tmp_path / f"whole.{output}").read_bytes()

    def test_a_changed_table_is_refused(
        self, model: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write(tmp_path / "in.csv", table())
        with monkeypatch.context() as patched:
            patched.setattr(part_folders.os, "fsync", interruption(4))
            with pytest.raises(KeyboardInterrupt):
                score(model, path, tmp_path / "out.csv", batch_size=10, workers=1)
        write(path, table(50))
        with pytest.raises(ResumeRefused) as refused:
            score(model, path, tmp_path / "out.csv", batch_size=10)
        assert refused.value.code == "run_changed"
        assert score(model, path, tmp_path / "out.csv", batch_size=10, resume=False).rows == 50

    def test_a_second_run_is_refused(self, model: Predictor, tmp_path: Path) -> None:
        path = write(tmp_path / "in.csv", table())
        codes = []

        def start_another(_: Scored) -> None:
            with pytest.raises(ResumeRefused) as refused:
                score(model, path, tmp_path / "out.csv")
            codes.append(refused.value.code)

        score(model, path, tmp_path / "out.csv", progress=start_another)
        assert set(codes) == {"run_in_progress"}

    @pytest.mark.parametrize("source", ["in.csv", "in.parquet", "folder"])
    def test_kill_at_random_moments(self, tmp_path: Path, source: str) -> None:
        archive = tiny_archive(tmp_path / "store", "1.0")
        model, identity = Predictor.open(archive), ArchiveTarget(str(archive), None).identity
        path, rows = tmp_path / source, table(6000)
        if path.suffix:
            write(path, rows)
        else:
            path.mkdir()
            write(path / "a.csv", rows[:2500])
            write(path / "b.csv", rows[2500:])
        target, whole = tmp_path / f"out{path.suffix or '.csv'}", tmp_path / f"whole{path.suffix or '.csv'}"
        score(model, path, whole, batch_size=100)
        command = [sys.executable, "-m", "fastmar_cli.main", "score", str(archive), str(path), "--batch-size", "100"]
        for kill in range(KILLS):
            moment = Random(f"{source} {kill}").randrange(100, 4000)
            kept = 0
            while not kept:  # it may end before the signal
                target.unlink(missing_ok=True)
                with subprocess.Popen([*command, "-o", str(target)], stdout=subprocess.DEVNULL) as child:
                    while child.poll() is None and parts.rows_kept(str(target)) < moment:
                        time.sleep(0.005)
                    child.send_signal(signal.SIGKILL)
                kept = parts.rows_kept(str(target))
            scored: list[Scored] = []
            score_files(model, identity, str(path), str(target), Options(batch_size=100, progress=scored.append))
            assert kept == scored[0].resumed
            assert target.read_bytes() == whole.read_bytes()
            target.unlink()


def interruption(sync: int) -> Any:
    """A replacement of `os.fsync` that is interrupted from call number `sync` on."""
    calls = iter(range(1, 10**6))

    def fsync(_: int) -> None:
        if next(calls) >= sync:
            raise KeyboardInterrupt

    return fsync
