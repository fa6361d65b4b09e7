"""Ray Data on a cluster of two nodes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fastmar
from fastmar_cli.main import main
from tests.archives import tiny_archive
from tests.local_s3 import local_s3
from tests.ray.data_cluster import CPUS, ENVIRONMENT, THREADS, DataCluster, cluster
from tests.runtime import tiny

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed; run .ci/ray"),
    pytest.mark.filterwarnings("ignore"),  # Ray's
]

ROWS = 3000
WORKCLASSES = [" Private", "Private", "NA", "never", None]
TABLE = pa.Table.from_pylist(
    [tiny.record(age=20 + row % 60, workclass=WORKCLASSES[row % 5]) | {"id": row, "x": 1} for row in range(ROWS)]
)
HOURS = [None if row == 1234 else float(row % 90) for row in range(ROWS)]
BAD = TABLE.set_column(TABLE.column_names.index("hours"), "hours", pa.array(HOURS))


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    with local_s3("bulk") as client:
        yield client


@pytest.fixture(scope="module")
def two_nodes(s3: Any) -> Iterator[DataCluster]:
    """Its processes have the environment that leads to the local S3."""
    with cluster(nodes=2) as running:
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has tiny-1.2.mar; bad.parquet with one row that can't be scored; and parts, a folder of the same rows."""
    folder = tmp_path_factory.mktemp("data")
    tiny_archive(folder, "1.2")
    pq.write_table(BAD, folder / "bad.parquet", row_group_size=700)
    (folder / "parts").mkdir()
    large = BAD.cast(pa.schema([f.with_type(pa.large_string()) if f.type == pa.string() else f for f in BAD.schema]))
    for number, start in enumerate(range(0, ROWS, 1100)):
        pq.write_table(large.slice(start, 1100), folder / "parts" / f"{number}.parquet")
    return folder


@pytest.fixture(scope="module")
def connected(two_nodes: DataCluster) -> Iterator[None]:
    """One connection for the tests from here on: with each new one, Ray starts new processes that import everything."""
    import ray

    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        ray.init(address=two_nodes.address, log_to_driver=False)
        yield
        ray.shutdown()


@pytest.fixture
def score(two_nodes: DataCluster, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Scores a table of `folder` on the cluster; returns the exit status."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)

    def run(table: str, output: str, *options: str) -> int:
        paths = [str(folder / "tiny-1.2.mar"), table if "://" in table else str(folder / table)]
        output = output if "://" in output else str(folder / output)
        on_ray = ["--engine", "ray", "--address", two_nodes.address, "--batch-size", "500"]
        on_ray += [] if "--workers" in options else ["--workers", "2"]
        return main(["score", *paths, "-o", output, *on_ray, *options])

    return run


def read(folder: Path) -> pa.Table:
    """The rows of an output, in the order of its files."""
    assert (folder / "_SUCCESS").is_file()
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("part-*.parquet"))])


def in_process(folder: Path, table: str, *options: str) -> pa.Table:
    output = folder / "expected.parquet"
    main(["score", str(folder / "tiny-1.2.mar"), str(folder / table), "-o", str(output), "--force", *options])
    return pq.read_table(output)


def test_a_killed_actor_changes_nothing(two_nodes: DataCluster, folder: Path, tmp_path: Path) -> None:
    archive = Path(shutil.copy(folder / "tiny-1.2.mar", tmp_path))
    expected = fastmar.load(archive).score(
        BAD, keep=["id"], columns=["prediction", "probabilities", "warnings", "error"]
    )
    arguments = [two_nodes.address, str(archive), str(folder / "bad.parquet"), str(tmp_path / "out.parquet")]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.ray.driver", *arguments],
        env=os.environ | ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        assert cast(IO[str], driver.stdout).readline() == '"started"\n'
        victim, *others = two_nodes.actors("MapWorker")
        victim.kill()
        print("go on", file=cast(IO[str], driver.stdin), flush=True)
        actors = [actor.split() for actor in json.loads(cast(IO[str], driver.stdout).readline())]
        assert driver.wait(120) == 0
    assert len(others) == 1
    assert len({node for node, _, _ in actors}) == 2
    assert len({process for _, process, _ in actors} - {str(victim.pid)}) >= 2  # another one took its place
    assert {workers for _, _, workers in actors} == {str(THREADS)}
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.schema == expected.schema
    assert found.equals(expected)


def test_no_cluster(folder: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    paths = [str(folder / "tiny-1.2.mar"), str(folder / "bad.parquet"), "-o", str(folder / "none")]
    assert main(["score", *paths, "--engine", "ray", "--address", "127.0.0.1:9"]) == 1
    assert "ClusterUnreachable" in capsys.readouterr().err


def test_the_command_connects_to_the_cluster(score: Any, folder: Path, capsys: Any) -> None:
    check_rows(score, folder, "bad.parquet", capsys)


@pytest.mark.usefixtures("connected")
def test_files_of_a_folder_are_one_table(score: Any, folder: Path, capsys: Any) -> None:
    check_rows(score, folder, "parts", capsys)


def check_rows(score: Any, folder: Path, table: str, capsys: Any) -> None:
    """Compare the rows of the command with those that it writes without Ray."""
    assert score(table, f"out-{table}") == 1
    assert f"({ROWS:,} rows, 1 not scored" in " ".join(capsys.readouterr().out.split())
    found, expected = read(folder / f"out-{table}"), in_process(folder, table)
    assert found.schema == expected.schema
    assert found.equals(expected)


@pytest.mark.usefixtures("connected")
def test_options(score: Any, folder: Path, capsys: Any) -> None:
    options = ["--columns", "id,prediction,probabilities,x", "--errors", "separate"]
    assert score("bad.parquet", "chosen", *options, "--workers", "1") == 1
    assert read(folder / "chosen").equals(in_process(folder, "bad.parquet", *options))
    assert read(folder / "chosen.errors").equals(pq.read_table(folder / "expected.errors.parquet"))
    assert score("bad.parquet", "chosen", *options) == 1
    assert "[file_exists]" in capsys.readouterr().err
    assert score("bad.parquet", "chosen", "--force", "--errors", "fail") == 1
    printed = capsys.readouterr().err
    assert "RecordRefused" in printed
    assert "[null_not_filled]" in printed
    assert not (folder / "chosen" / "_SUCCESS").exists()


@pytest.mark.usefixtures("connected")
def test_an_object_store(score: Any, folder: Path, s3: Any, capsys: Any) -> None:
    for path in sorted((folder / "parts").iterdir()):
        s3.upload_file(str(path), "bulk", f"in/{path.name}")
    assert score("s3://bulk/in", "s3://bulk/out") == 1
    written = s3.list_objects_v2(Bucket="bulk", Prefix="out/")["Contents"]
    names = sorted(found["Key"] for found in written if found["Key"].endswith(".parquet"))
    assert "out/_SUCCESS" in [found["Key"] for found in written]
    bodies = [s3.get_object(Bucket="bulk", Key=name)["Body"].read() for name in names]
    found = pa.concat_tables([pq.read_table(pa.BufferReader(body)) for body in bodies])
    assert found.equals(in_process(folder, "parts"))
    assert score("s3://bulk/in", "s3://bulk/out") == 1
    assert "[file_exists]" in capsys.readouterr().err


@pytest.mark.usefixtures("connected")
def test_tables_that_are_refused(score: Any, folder: Path, capsys: Any) -> None:
    pq.write_table(TABLE.slice(0, 0), folder / "empty.parquet")
    pq.write_table(TABLE.drop_columns(["hours"]), folder / "narrow.parquet")
    (folder / "broken.parquet").write_bytes(b"PAR1")
    for table, code in (
        ("empty.parquet", "no_rows"),
        ("narrow.parquet", "missing_column"),
        ("broken.parquet", "CsvUnreadable"),
        ("none.parquet", "CsvUnreadable"),
    ):
        assert score(table, f"refused-{table}") == 1
        assert code in capsys.readouterr().err


@pytest.mark.usefixtures("connected")
def test_actors_leave_a_cpu_for_reading(score: Any, capsys: Any) -> None:
    assert score("bad.parquet", "small", "--workers", str(2 * CPUS)) == 1
    assert "ClusterTooSmall" in capsys.readouterr().err


def test_what_ray_can_not_do(folder: Path, capsys: Any) -> None:
    archive, table = str(folder / "tiny-1.2.mar"), str(folder / "bad.parquet")
    (folder / "table.csv").write_text("age\n1\n")
    (folder / "other").mkdir()
    (folder / "other" / "mine.txt").write_text("")
    for arguments, code in (
        ([str(folder / "table.csv"), "-o", str(folder / "out")], "not_parquet"),
        ([str(folder / "parts"), "-o", str(folder / "parts"), "--force"], "same_file"),
    ):
        assert main(["score", archive, *arguments, "--engine", "ray"]) == 1
        assert code in capsys.readouterr().err
    for arguments in (
        [archive, table, "-o", "-", "--engine", "ray"],
        [archive, "-", "-o", "out", "--engine", "ray"],
        [archive, table, "-o", "out", "--engine", "ray", "--no-resume"],
        [archive, table, "-o", "out.parquet", "--address", "127.0.0.1:9"],
        ["http://127.0.0.1:9/predictions/tiny", table, "-o", "out", "--engine", "ray"],
    ):
        with pytest.raises(SystemExit) as refused:
            main(["score", *arguments])
        assert refused.value.code == 2


def test_folders_with_other_files_are_kept(folder: Path) -> None:
    from fastmar_bulk.ray_data.sink import Folder
    from fastmar_client.errors import CsvUnreadable, CsvUnwritable

    (folder / "mine").mkdir()
    (folder / "mine" / "notes.txt").write_text("")
    for name, code in (("mine", "file_exists"), ("bad.parquet", "not_a_folder")):
        with pytest.raises(CsvUnwritable) as refused:
            Folder(str(folder / name)).prepare(overwrite=True)
        assert refused.value.code == code
    with pytest.raises(CsvUnreadable):
        Folder("nowhere://bucket/folder")
