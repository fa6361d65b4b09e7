"""Tables and outputs with URLs: any store of fsspec, and a local S3."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastmar_bulk import part_folders, parts
from fastmar_bulk.files import score_files
from fastmar_bulk.layout import Options
from fastmar_client.errors import CsvUnreadable, CsvUnwritable, ResumeRefused
from fastmar_client.scoring import Scored
from fastmar_runtime.predictor import Predictor
from tests.bulk.test_files import ROWS, read, table, write
from tests.local_s3 import local_s3
from tests.runtime import tiny, tiny_pictures

FILES = ["in.csv", "in.csv.gz", "in.parquet", "in.arrow", "in.jsonl"]


@pytest.fixture(scope="module")
def model() -> Predictor:
    return tiny.predictor()


@pytest.fixture
def memory() -> Iterator[Any]:
    store = fsspec.filesystem("memory")
    yield store
    if store.exists("/bulk"):
        store.rm("/bulk", recursive=True)


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with local_s3("bulk") as client:
        yield client


def score(model: Predictor, source: str | Path, target: str | Path, **options: Any) -> Scored:
    return score_files(model, "tiny", str(source), str(target), Options(batch_size=10, workers=2, **options))


def local(folder: Path, name: str) -> Path:
    path = folder / name.removesuffix(".gz")
    write(path, table())
    if name.endswith(".gz"):
        pd.read_csv(path).to_csv(folder / name, index=False)
        path.unlink()
    return folder / name


def interrupted(model: Predictor, source: str, target: str, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """A run that ends when it writes part number `after`."""
    written = iter(range(10**6))
    write_part = part_folders._RemoteFolder.write

    def failing(folder: Any, name: str, answers: Any) -> None:
        if next(written) >= after:
            raise KeyboardInterrupt
        write_part(folder, name, answers)

    with monkeypatch.context() as patched:
        patched.setattr(part_folders._RemoteFolder, "write", failing)
        with pytest.raises(KeyboardInterrupt):
            score(model, source, target)


@pytest.mark.parametrize("name", FILES)
def test_input_and_output_are_those_of_files(model: Predictor, tmp_path: Path, memory: Any, name: str) -> None:
    path = local(tmp_path, name)
    memory.pipe(f"/bulk/{name}", path.read_bytes())
    output = name.replace("in", "out")
    shares: list[float] = []
    scored = score(model, f"memory://bulk/{name}", f"memory://bulk/{output}", progress=lambda s: shares.append(s.share))
    assert scored.rows == ROWS
    assert scored.share == 1.0
    assert any(share > 0 for share in shares[1:-1]) or name.endswith(".gz")
    score(model, path, tmp_path / output)
    assert memory.cat(f"/bulk/{output}") == (tmp_path / output).read_bytes()
    assert sorted(memory.find("/bulk")) == [f"/bulk/{name}", f"/bulk/{output}"], "parts are removed"


def test_folders_and_patterns(model: Predictor, tmp_path: Path, memory: Any) -> None:
    for number in range(3):
        path = write(tmp_path / f"{number}.parquet", table()[number * 30 : number * 30 + 30])
        memory.pipe(f"/bulk/in/{number}.parquet", path.read_bytes())
    memory.pipe("/bulk/in/other.txt.md", b"?")
    score(model, "memory://bulk/in", tmp_path / "folder.jsonl")
    score(model, "memory://bulk/in/[01]*.parquet", tmp_path / "pattern.jsonl")
    assert [row["id"] for row in read(tmp_path / "folder.jsonl")] == list(range(90))
    assert [row["id"] for row in read(tmp_path / "pattern.jsonl")] == list(range(60))


def test_file_urls_are_paths(model: Predictor, tmp_path: Path) -> None:
    path = local(tmp_path, "in.parquet")
    score(model, path.as_uri(), (tmp_path / "out .csv").as_uri())
    assert len(read(tmp_path / "out .csv")) == ROWS


def test_separate_errors(model: Predictor, tmp_path: Path, memory: Any) -> None:
    path = local(tmp_path, "in.parquet")
    scored = score(model, path, "memory://bulk/out.parquet", errors="separate")
    refused = pq.read_table(io.BytesIO(memory.cat("/bulk/out.errors.parquet")))
    assert refused.num_rows == scored.errors > 0


def test_a_resumed_run_has_the_same_bytes(
    model: Predictor, tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, target = local(tmp_path, "in.parquet"), "memory://bulk/out.parquet"
    score(model, path, tmp_path / "out.parquet")
    interrupted(model, str(path), target, monkeypatch, after=4)
    assert parts.rows_kept(target) == 40
    assert not memory.exists("/bulk/out.parquet")
    resumed: list[Scored] = []
    score(model, path, target, progress=resumed.append)
    assert resumed[0].resumed == 40
    assert memory.cat("/bulk/out.parquet") == (tmp_path / "out.parquet").read_bytes()


def test_a_changed_table_is_refused(
    model: Predictor, tmp_path: Path, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = local(tmp_path, "in.parquet").read_bytes()
    memory.pipe("/bulk/in.parquet", data)
    arguments = "memory://bulk/in.parquet", "memory://bulk/out.parquet"
    interrupted(model, *arguments, monkeypatch, after=4)
    memory.pipe("/bulk/in.parquet", data)  # the time of the change is another one
    with pytest.raises(ResumeRefused) as refused:
        score(model, *arguments)
    assert refused.value.code == "run_changed"
    assert score(model, *arguments, resume=False).resumed == 0


def test_refusals(model: Predictor, tmp_path: Path, memory: Any) -> None:
    path = local(tmp_path, "in.parquet")
    memory.pipe("/bulk/in.parquet", path.read_bytes())
    for source, code in (("memory://bulk/none.csv", "csv_unreadable"), ("strange://bulk/in.csv", "store_unknown")):
        with pytest.raises(CsvUnreadable) as unreadable:
            score(model, source, tmp_path / "out.csv")
        assert unreadable.value.code == code
    with pytest.raises(CsvUnwritable) as same:
        score(model, "memory://bulk/in.parquet", "memory://bulk/in.parquet", overwrite=True)
    assert same.value.code == "same_file"
    with pytest.raises(CsvUnwritable) as existing:
        score(model, path, "memory://bulk/in.parquet")
    assert existing.value.code == "file_exists"
    assert score(model, path, "memory://bulk/in.parquet", overwrite=True).rows == ROWS


def test_pictures_with_urls(tmp_path: Path, memory: Any) -> None:
    colours = tiny_pictures.predictor()
    memory.pipe("/bulk/red.png", tiny_pictures.picture("red"))
    paths = ["memory://bulk/red.png", "memory://bulk/none.png", "strange://x.png"]
    pq.write_table(pa.table({"path": paths}), tmp_path / "in.parquet")
    score_files(colours, "x", str(tmp_path / "in.parquet"), str(tmp_path / "out.jsonl"), Options(columns=COLUMNS))
    rows = read(tmp_path / "out.jsonl")
    assert [row["prediction"] for row in rows] == ["red", None, None]
    assert [row["error_code"] for row in rows] == [None, "file_unreadable", "file_unreadable"]


COLUMNS = ["prediction", "error_code"]


@pytest.mark.parametrize("name", FILES)
def test_s3(model: Predictor, tmp_path: Path, s3: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = local(tmp_path, name)
    s3.upload_file(str(path), "bulk", f"{name}/{name}")
    source, target = f"s3://bulk/{name}/{name}", f"s3://bulk/{name}/out.parquet"
    interrupted(model, source, target, monkeypatch, after=4)
    resumed: list[Scored] = []
    score(model, source, target, progress=resumed.append)
    assert resumed[0].resumed == 40
    score(model, path, tmp_path / "out.parquet")
    s3.download_file("bulk", f"{name}/out.parquet", str(tmp_path / "found.parquet"))
    assert (tmp_path / "found.parquet").read_bytes() == (tmp_path / "out.parquet").read_bytes()
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket="bulk", Prefix=f"{name}/")["Contents"]]
    assert [key for key in keys if not key.endswith("/")] == [f"{name}/{name}", f"{name}/out.parquet"]
    with pytest.raises(CsvUnwritable):
        score(model, source, target)
