"""Measures `fastmar score` in process with the Adult model: rows per second and peak memory, by format and size.

python -m benchmarks.bulk_score TABLE.csv [--learner LEARNER.pkl] [--rows 100000 5000000] [--json FILE]

TABLE has some rows of the Adult data, which are resampled to the sizes. Without LEARNER, a learner of the same shape is
trained with them, and `learn.get_preds` is measured, too. Each run is a new process. Rates include reading and writing
of files, but not the start of the process; `learn.get_preds` gets a DataFrame in memory. Memory is the peak of resident
memory; it is constant if the peaks do not grow with the number of rows. At the end, the largest tables are scored with
one thread in this process, which measures the processor time of each step.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from benchmarks import cli, machine
from benchmarks.bulk_shares import shares
from fastmar_bulk.memory import share_heap
from fastmar_cli.main import main as fastmar

out = Console(width=None if sys.stdout.isatty() else 140)
MEGA = 1e6
LEARNER = "learner.pkl"
FORMATS = ("parquet", "csv")
CHUNK = 500_000  # rows that are drawn at random; larger tables repeat them
FASTAI_ROWS = 20_000  # of get_preds


@dataclass(frozen=True, slots=True)
class Run:
    """The result for one table.

    Attributes:
        what: formats of table and output, and options.
        rows: number of rows.
        seconds: duration without the start of the process.
        memory: peak of resident memory, in MB; None for `get_preds`.
    """

    what: str
    rows: int
    seconds: float
    memory: float | None


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    args = _arguments(argv)
    runs = []
    with tempfile.TemporaryDirectory(prefix="fastmar-bench-", dir=args.folder) as name:
        folder = Path(name)
        sample = pd.read_csv(args.table)
        export(sample, args.learner, folder)
        for rows in args.rows:
            for ending in FORMATS:
                write_table(sample, rows, folder / f"in.{ending}")
            os.sync()  # else the runs would wait until the tables are on the disk
            for ending in FORMATS:
                runs.append(_run(folder, ending, ending, rows, {"keep": []}))
                runs.append(_run(folder, ending, ending, rows, {}))
        for workers in (1, 2):
            runs.append(_run(folder, "parquet", "parquet", args.rows[-1], {"keep": [], "workers": workers}))
        spent = {each: shares(folder / "adult.mar", folder / f"in.{each}", folder / f"out.{each}") for each in FORMATS}
        if args.learner is None:
            runs += [_fastai(folder / LEARNER, sample, size) for size in (64, 4096)]
    out.print(_results_table(runs))
    out.print(_shares_table(spent))
    results = {"machine": machine.describe(), "runs": [asdict(run) for run in runs], "shares": spent}
    cli.write_results(args.json, results)
    return 0


def export(sample: pd.DataFrame, learner: Path | None, folder: Path) -> Path:
    """The archive of a learner; without one, one is trained."""
    learner = learner or _train(sample, folder / LEARNER)
    if status := fastmar(["export", str(learner), "--name", "adult", "--output", str(folder)]):
        raise SystemExit(status)
    return folder / "adult.mar"


def write_table(sample: pd.DataFrame, rows: int, path: Path) -> None:
    """`rows` rows, drawn at random from `sample`."""
    chunk = sample.iloc[np.random.default_rng(0).integers(0, len(sample), min(CHUNK, rows))]
    table = pa.Table.from_pandas(chunk, preserve_index=False)
    if path.suffix == ".parquet":
        with pq.ParquetWriter(path, table.schema) as writer:
            for _ in range(rows // len(chunk)):
                writer.write_table(table)
    else:
        header, _, lines = chunk.to_csv(index=False).partition("\n")
        with path.open("w", encoding="utf-8") as file:
            file.write(header + "\n")
            for _ in range(rows // len(chunk)):
                file.write(lines)


def _run(folder: Path, source: str, target: str, rows: int, options: dict[str, Any]) -> Run:
    seconds, memory = score(folder / "adult.mar", folder / f"in.{source}", folder / f"out.{target}", options)
    what = f"{source} to {target}" + "".join(f", {name} {value or 'none'}" for name, value in options.items())
    run = Run(what, rows, seconds, memory)
    out.print(f"{what}: {rows:,} rows, {rows / seconds:,.0f} rows/s, {memory:,.0f} MB")
    return run


def score(archive: Path, source: Path, target: Path, options: dict[str, Any]) -> tuple[float, float]:
    """Score in a new process. Returns the seconds without its start, and the peak of its resident memory in MB."""
    arguments = [str(archive), str(source), str(target), json.dumps(options)]
    command = [sys.executable, "-m", "benchmarks.bulk_score", "--child", *arguments]
    environment = os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system"}  # as `share_heap` does, before Arrow is imported
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    seconds, memory = map(float, printed.split()[-2:])
    return seconds, memory


def _child(archive: str, source: str, target: str, options: str) -> int:
    share_heap()  # as the command does
    from fastmar_bulk.files import score_files  # noqa: PLC0415
    from fastmar_bulk.layout import Options  # noqa: PLC0415
    from fastmar_runtime.predictor import Predictor  # noqa: PLC0415

    predictor = Predictor.open(archive)
    started_at = time.perf_counter()
    score_files(predictor, "adult", source, target, Options(overwrite=True, **json.loads(options)))
    print(time.perf_counter() - started_at, _peak() / MEGA)
    return 0


def _peak() -> int:
    """Peak of this process's resident memory, in bytes. `getrusage` would count the parent's, too."""
    [line] = [line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def _train(sample: pd.DataFrame, path: Path) -> Path:
    """A learner with the columns and layers of the book's, whose labels are random."""
    from fastai.tabular.all import (  # noqa: PLC0415
        Categorify,
        FillMissing,
        Normalize,
        TabularDataLoaders,
        tabular_learner,
    )

    table = sample.assign(salary=np.random.default_rng(0).choice(["<50k", ">=50k"], len(sample)))
    numbers = list(sample.select_dtypes("number"))
    dls = TabularDataLoaders.from_df(
        table,
        procs=[Categorify, FillMissing, Normalize],
        cat_names=[name for name in sample if name not in numbers],
        cont_names=numbers,
        y_names="salary",
        bs=32,
        num_workers=0,
    )
    learn = tabular_learner(dls, layers=[200, 100])
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    learn.export(path)
    return path


def _fastai(learner: Path, sample: pd.DataFrame, batch_size: int) -> Run:
    """`learn.get_preds` on all cores."""
    from fastai.learner import load_learner  # noqa: PLC0415

    learn = load_learner(learner)
    table = sample.iloc[np.random.default_rng(0).integers(0, len(sample), FASTAI_ROWS)].reset_index(drop=True)
    started_at = time.perf_counter()
    with learn.no_bar(), learn.no_logging():
        learn.get_preds(dl=learn.dls.test_dl(table, bs=batch_size))
    return Run(f"learn.get_preds, batches of {batch_size}", FASTAI_ROWS, time.perf_counter() - started_at, None)


def _results_table(runs: list[Run]) -> Table:
    table = Table(title="fastmar score with an archive")
    for name in ("", "rows", "s", "rows/s", "MB"):
        table.add_column(name, justify="right" if name else "left")
    for run in runs:
        rate = f"{run.rows / run.seconds:,.0f}"
        table.add_row(run.what, f"{run.rows:,}", f"{run.seconds:.2f}", rate, f"{run.memory:,.0f}" if run.memory else "")
    return table


def _shares_table(spent: dict[str, dict[str, float]]) -> Table:
    table = Table(title="Processor time of one thread, in microseconds a row")
    for name in ("", *spent):
        table.add_column(name, justify="right" if name else "left")
    for step in next(iter(spent.values())):
        cells = (f"{steps[step]:.2f} ({steps[step] / sum(steps.values()):.0%})" for steps in spent.values())
        table.add_row(step, *cells)
    table.add_row("sum", *(f"{sum(steps.values()):.2f}" for steps in spent.values()))
    return table


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = cli.parser_of("bulk_score", __doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--learner", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 5_000_000], help="sizes of the tables")
    cli.add_folder(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(_child(*sys.argv[2:]) if sys.argv[1:2] == ["--child"] else main())
