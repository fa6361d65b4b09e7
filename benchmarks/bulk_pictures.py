"""Measures `fastmar score` with a folder of pictures: pictures per second and peak memory, beside `learn.get_preds`.

python -m benchmarks.bulk_pictures [--count 10000] [--fastai-count 2000] [--folder FOLDER] [--json FILE]

The model is the resnet34 at 224 px of `benchmarks.pictures`; the pictures are JPEG of 500 x 375 px. `learn.get_preds`
has a DataLoader with a worker for each core. Each run is a new process on all cores, without its start, in the order
fastai, float32, int8, for several rounds; rates are medians, and ratios are to fastai. "graph alone" runs the float32
graph on all cores with arrays that are in memory: the limit of `fastmar score`. Both archives score the same pictures,
and their labels are compared. The weights of the resnet34 are random, so that the labels of the trained model of
textures are compared, too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow.parquet as pq
from examples import textures
from rich.console import Console
from rich.table import Table

from benchmarks import bulk_score, cli, machine, pictures
from fastmar_contract.machine import usable_cores
from fastmar_export.exporter import Options, export_learner
from fastmar_runtime.predictor import Predictor

out = Console(width=None if sys.stdout.isatty() else 140)
DISTINCT = 400  # pictures; others are the same files under other names
BATCH = 64  # of get_preds, fastai's default
GRAPH_RUNS = 40  # of a batch, to measure the graph alone
FLOAT32, INT8, FASTAI, GRAPH = "fastmar score", "fastmar score, int8", "learn.get_preds", "graph alone"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    args = _arguments(argv)
    rates: dict[str, list[float]] = {FASTAI: [], FLOAT32: [], INT8: [], GRAPH: []}
    memory: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="fastmar-bench-", dir=args.folder) as name:
        folder = Path(name)
        model = pictures.benchmark_model()
        crops = pictures.crop_pictures(folder / "crops", min(DISTINCT, args.count))
        archives = _archives(model.learner, crops, folder / "resnet34")
        everything = _linked(crops, folder / "all", args.count)
        some = _linked(crops, folder / "some", args.fastai_count)
        for _ in range(args.repeats):
            rates[FASTAI].append(args.fastai_count / _fastai(model.learner, some))
            for what, archive in archives.items():
                seconds, memory[what] = bulk_score.score(archive, everything, folder / f"{what}.parquet", {})
                rates[what].append(args.count / seconds)
            rates[GRAPH].append(_graph(archives[FLOAT32]))
            out.print({what: round(found[-1], 1) for what, found in rates.items()})
        changed = {"resnet34": _changed(folder)}
        model = textures.benchmark_model()
        for what, archive in _archives(model.learner, model.pictures[::2], folder / "textures").items():
            bulk_score.score(archive, model.pictures[0].parent, folder / f"{what}.parquet", {})
        changed["textures"] = _changed(folder)
    out.print(_results_table(rates, memory))
    out.print("Labels that int8 changes: " + ", ".join(f"{name} {found}" for name, found in changed.items()))
    cli.write_results(args.json, {"machine": machine.describe(), "rates": rates, "memory": memory, "changed": changed})
    return 0


def _archives(learner: Path, calibration: Sequence[Path], folder: Path) -> dict[str, Path]:
    """The learner in both precisions; int8 is calibrated with at most 100 pictures."""
    chosen = _linked(calibration, folder / "calibration", min(100, len(calibration)))
    int8 = Options("int8", output=folder, precision="int8", calibration=chosen, max_changed=1.0)
    return {
        FLOAT32: export_learner(learner, Options("float32", output=folder)).path,
        INT8: export_learner(learner, int8).path,
    }


def _linked(files: Sequence[Path], folder: Path, count: int) -> Path:
    """A folder of `count` pictures."""
    folder.mkdir(parents=True)
    for number, path in enumerate(islice(cycle(files), count)):
        try:
            os.link(path, folder / f"{number:06}.jpg")
        except OSError:  # the files are on another disk
            (folder / f"{number:06}.jpg").write_bytes(path.read_bytes())
    return folder


def _changed(folder: Path) -> str:
    """The number of labels in which the outputs of both precisions differ."""
    plain, int8 = (pq.read_table(folder / f"{what}.parquet")["prediction"].to_pylist() for what in (FLOAT32, INT8))
    return f"{sum(one != other for one, other in zip(plain, int8, strict=True))} of {len(plain):,}"


def _fastai(learner: Path, folder: Path) -> float:
    """Seconds of `learn.get_preds` in a new process."""
    command = [sys.executable, "-m", "benchmarks.bulk_pictures", "--fastai", str(learner), str(folder)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-1])


def _fastai_child(learner: str, folder: str) -> int:
    from fastai.vision.all import get_image_files, load_learner  # noqa: PLC0415

    learn = load_learner(learner)
    files = get_image_files(folder)
    started_at = time.perf_counter()
    with learn.no_bar(), learn.no_logging():
        learn.get_preds(dl=learn.dls.test_dl(files, bs=BATCH, num_workers=usable_cores()))
    print(time.perf_counter() - started_at)
    return 0


def _graph(archive: Path) -> float:
    """Pictures per second of the graph, with a thread for each core as in `fastmar score`."""
    predictor = Predictor.open(archive)
    batch = np.zeros((predictor.preprocess.chunk, 3, pictures.SIZE, pictures.SIZE), np.uint8)
    with ThreadPoolExecutor(usable_cores()) as pool:
        started_at = time.perf_counter()
        list(pool.map(lambda _: predictor.run({"image": batch}), range(GRAPH_RUNS)))
        return GRAPH_RUNS * len(batch) / (time.perf_counter() - started_at)


def _results_table(rates: dict[str, list[float]], memory: dict[str, float]) -> Table:
    table = Table(title=f"resnet34 at {pictures.SIZE} px, {usable_cores()} cores")
    for name in ("", "pictures/s", "ratio", "peak MB"):
        table.add_column(name, justify="right" if name else "left")
    base = median(rates[FASTAI])
    for what, found in rates.items():
        used = f"{memory[what]:,.0f}" if what in memory else ""
        table.add_row(what, f"{median(found):.1f}", f"{median(found) / base:.2f}", used)
    return table


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = cli.parser_of("bulk_pictures", __doc__)
    parser.add_argument("--count", type=int, default=10_000, help="pictures of fastmar")
    parser.add_argument("--fastai-count", type=int, default=2_000, help="pictures of fastai, which is slower")
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    cli.add_folder(parser)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(_fastai_child(*sys.argv[2:]) if sys.argv[1:2] == ["--fastai"] else main())
