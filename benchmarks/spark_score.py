"""Measures `fastmar.spark.scorer` beside `fastmar score` in one process: rows per second.

python -m benchmarks.spark_score [--rows 1000000] [--cores 2] [--rounds 3] [--json FILE]

The rows are real flights, drawn at random, in 8 Parquet files. Each run reads these files and writes the ids and the
answers to Parquet. The runs are interleaved, A B C A B C, after one of each that is not measured; rates are medians.
Spark runs on this machine, with a Python worker for each core, and `fastmar score` with a thread for each; starting
Spark is not measured. The values of all runs are compared.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from examples import flights
from rich.console import Console
from rich.table import Table

from benchmarks import cli, machine
from fastmar.spark import scorer
from fastmar_cli.main import main as fastmar
from fastmar_export.exporter import Options, export_learner

FILES = 8
ONE_PROCESS = "fastmar score"

out = Console(width=None if sys.stdout.isatty() else 140)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    args = _arguments(argv)
    about = machine.describe()
    with tempfile.TemporaryDirectory(prefix="fastmar-bench-") as name:
        folder = Path(name)
        export_learner(flights.benchmark_model().learner, Options(flights.NAME, output=folder))
        _write_table(args.rows, folder / "in")
        seconds = _measure(folder, args.cores, args.rounds)
    rates = {run: args.rows / median(found) for run, found in seconds.items()}
    out.print(f"All values of {args.rows:,} rows are equal bit for bit.")
    out.print(_results_table(rates, args))
    cli.write_results(args.json, {"machine": about, "rows": args.rows, "cores": args.cores, "seconds": seconds})
    return 0


def _write_table(rows: int, folder: Path) -> None:
    table = pa.Table.from_pandas(flights.table().drop(columns=flights.TARGET), preserve_index=False)
    chosen = np.random.default_rng(0).integers(0, table.num_rows, rows)
    folder.mkdir()
    for number, part in enumerate(np.array_split(np.arange(rows), FILES)):
        pq.write_table(table.take(chosen[part]).add_column(0, "id", pa.array(part)), folder / f"{number}.parquet")


def _measure(folder: Path, cores: int, rounds: int) -> dict[str, list[float]]:
    """The seconds of each run, after a comparison of their answers."""
    archive = str(folder / f"{flights.NAME}.mar")
    spark = _session(cores, folder)
    rows = spark.read.parquet(str(folder / "in"))
    score = scorer(archive, rows.schema, keep="id")

    def one_process(target: str) -> None:
        command = ["--quiet", "score", archive, str(folder / "in"), "-o", target, "--keep", "id", "--force"]
        if fastmar([*command, "--workers", str(cores)]):
            raise SystemExit("fastmar score failed.")

    runs: dict[str, Callable[[str], None]] = {
        ONE_PROCESS: one_process,
        "Spark, score(df)": lambda target: score(rows).write.parquet(target, "overwrite"),
        "Spark, mapInPandas": lambda target: rows.mapInPandas(score, score.schema).write.parquet(target, "overwrite"),
        "Spark, without answers": lambda target: rows.write.parquet(target, "overwrite"),
    }
    targets = {name: str(folder / f"out-{number}.parquet") for number, name in enumerate(runs)}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            started_at = time.perf_counter()
            run(targets[name])
            if number:
                seconds[name].append(time.perf_counter() - started_at)
    spark.stop()
    expected = pq.read_table(targets.pop(ONE_PROCESS))
    for name, target in targets.items():
        if name != "Spark, without answers":
            _compare(pq.read_table(target).sort_by("id"), expected, name)
    return seconds


def _session(cores: int, folder: Path) -> Any:
    from pyspark.sql import SparkSession  # noqa: PLC0415

    os.environ["PYSPARK_PYTHON"] = sys.executable
    return (
        SparkSession.builder.master(f"local[{cores}]")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.local.dir", str(folder))
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )


def _compare(found: pa.Table, expected: pa.Table, name: str) -> None:
    for column in expected.column_names:
        values = expected[column].cast(found[column].type)
        if not found[column].equals(values):
            raise SystemExit(f"{name}: the values of {column} differ from those of one process.")


def _results_table(rates: dict[str, float], args: argparse.Namespace) -> Table:
    table = Table(title=f"{args.rows:,} rows, {args.cores} cores")
    for name in ("", "rows/s", "ratio"):
        table.add_column(name, justify="right" if name else "left")
    for name, rate in rates.items():
        table.add_row(name, f"{rate:,.0f}", f"{rate / rates[ONE_PROCESS]:.2f}x")
    return table


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = cli.parser_of("spark_score", __doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
