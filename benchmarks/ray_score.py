"""Compares `fastmar score --engine ray` on a cluster of two nodes on this machine with one process.

python -m benchmarks.ray_score TABLE.csv [--learner LEARNER.pkl] [--rows 1000000] [--json FILE]

TABLE has some rows of the Adult data, which are resampled; without LEARNER, a learner of the same shape is trained with
them. The machine's cores are shared between the nodes. Answers must be equal bit for bit; otherwise the command fails.
Runs alternate, and the fastest of each is printed. Rates of Ray include its actors' start, but not that of the cluster
and of the command; a second rate is that of the rows after the first file, which is written when all is started. Then,
an actor is killed (SIGKILL) when a third of the files is written, and the answers are compared again.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import cli, machine
from benchmarks.bulk_score import export, write_table
from fastmar_bulk.files import score_files
from fastmar_bulk.layout import Options
from fastmar_runtime.predictor import Predictor

NODES = 2
BLOCK = 16_384  # rows of a file


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    args = _arguments(argv)
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    import ray  # noqa: PLC0415 - reads the environment
    from ray.cluster_utils import Cluster  # noqa: PLC0415

    cpus = max(2, (os.cpu_count() or 1) // NODES + 1)  # of a node; one is for reading
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus, "include_dashboard": False})
    for _ in range(NODES - 1):
        cluster.add_node(num_cpus=cpus)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="WARNING")
    try:
        with tempfile.TemporaryDirectory(prefix="fastmar-bench-", dir=args.folder) as name:
            result = _compare(Path(name), args)
    finally:
        ray.shutdown()
        cluster.shutdown()
    print(json.dumps(result, indent=2))
    cli.write_results(args.json, {"machine": machine.describe(), **result})
    return 0


def _compare(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    from fastmar_bulk.ray_data.run import score_folder  # noqa: PLC0415

    sample = pd.read_csv(args.table)
    archive = export(sample, args.learner, folder)
    table = str(folder / "in.parquet")
    write_table(sample, args.rows, Path(table))
    os.sync()  # else the runs would wait until the table is on the disk
    predictor = Predictor.open(archive)
    workers = os.cpu_count() or 1
    one = Options(workers=workers, overwrite=True)
    many = Options(workers=workers, batch_size=BLOCK, overwrite=True)
    in_process = partial(score_files, predictor, "adult", table, str(folder / "one.parquet"), one)
    on_ray = partial(score_folder, predictor, archive, table, str(folder / "many"), many)
    seconds: dict[str, list[float]] = {"one process": [], "ray": []}
    started: list[float] = []  # rows per second of Ray after its first file
    for _ in range(args.runs):
        seconds["one process"].append(_timed(in_process))
        seconds["ray"].append(_timed(on_ray))
        written = [path.stat().st_mtime for path in (folder / "many").glob("part-*.parquet")]
        started.append((args.rows - BLOCK) / (max(written) - min(written)))
    expected = pq.read_table(folder / "one.parquet")
    _check_equal(expected, folder / "many")
    with _Killer(folder / "many", args.rows // BLOCK // 3) as killer:
        killed = _timed(on_ray)
    _check_equal(expected, folder / "many")
    rates = {name: args.rows / min(each) for name, each in seconds.items()}
    return {
        "rows": args.rows,
        "nodes": NODES,
        "workers": workers,
        "rows_per_second": {name: round(rate) for name, rate in rates.items()},
        "ray_after_its_start": round(max(started)),
        "ray_to_one_process": round(rates["ray"] / rates["one process"], 3),
        "equal": True,
        "killed": {"actors": killer.killed, "rows_per_second": round(args.rows / killed), "equal": True},
    }


def _timed(run: Callable[[], Any]) -> float:
    started_at = time.perf_counter()
    run()
    return time.perf_counter() - started_at


def _check_equal(expected: pa.Table, folder: Path) -> None:
    found = pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("part-*.parquet"))])
    if found.schema != expected.schema or not found.equals(expected):
        raise SystemExit("the answers of Ray differ from those of one process")


class _Killer:
    """Kills an actor of this process's cluster when a folder has a number of files.

    Attributes:
        killed: number of killed actors.
    """

    def __init__(self, folder: Path, files: int) -> None:
        self.killed = 0
        self._folder = folder
        self._files = files
        self._earlier = {path: path.stat().st_mtime_ns for path in folder.glob("part-*")}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if not self.killed:
            raise SystemExit("no actor was killed: the run was too short; use more --rows")

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            new = [path for path, when in self._written().items() if when != self._earlier.get(path)]
            if len(new) >= self._files:
                actors = [child for child in psutil.Process().children(recursive=True) if _is_actor(child)]
                for actor in actors[:1]:
                    actor.kill()
                    self.killed += 1
                return

    def _written(self) -> dict[Path, int]:
        found = {}
        for path in self._folder.glob("part-*"):
            try:
                found[path] = path.stat().st_mtime_ns
            except FileNotFoundError:  # of the earlier run
                continue
        return found


def _is_actor(process: psutil.Process) -> bool:
    try:
        return "MapWorker(MapBatches(Scorer))" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = cli.parser_of("ray_score", __doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--learner", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table")
    parser.add_argument("--runs", type=int, default=2, help="runs of each; the fastest counts")
    cli.add_folder(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
