"""Milliseconds of a list of items in this process, without a server, for models of two sizes.

    python -m benchmarks.recommend [--json FILE]

The ratings are synthetic, with the numbers of users and items of MovieLens 100k (943 and 1,682), and with 100,000
items. The networks are those of `collab_learner` with 50 factors, and with `use_nn=True` and layers of 100 and 50.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fastai.collab import CollabDataLoaders, collab_learner
from rich.console import Console
from rich.table import Table

from benchmarks import cli, machine
from fastmar_export.exporter import Options, export_learner
from fastmar_runtime.predictor import Predictor

USERS, SIZES = 943, (1_682, 100_000)
NETWORKS: dict[str, dict[str, Any]] = {
    "dot product": {"n_factors": 50},
    "network": {"use_nn": True, "layers": [100, 50]},
}
K = 10
CALLS, SLOW_CALLS = 50, 3  # SLOW_CALLS with all pairs, which take a hundred times as long


def make_model(items: int, network: dict[str, Any], folder: Path) -> Predictor:
    """The archive of an untrained learner, whose weights are as large as those of a trained one."""
    rows = np.arange(max(items, 20_000))
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"user": rng.integers(1, USERS + 1, len(rows)), "item": rows % items, "rating": 3.0})
    loaders = CollabDataLoaders.from_df(table, valid_pct=0.0, bs=64, num_workers=0)
    collab_learner(loaders, y_range=(0.5, 5.5), **network).export(folder / "learner.pkl")
    return Predictor.open(export_learner(folder / "learner.pkl", Options("items", output=folder)).path)


def milliseconds(call: Callable[[int], Any], count: int) -> dict[str, float]:
    """Percentiles of the time of `call`, which gets the number of the call."""
    call(0)
    times = []
    for number in range(1, count + 1):
        start = time.perf_counter()
        call(number)
        times.append(1000 * (time.perf_counter() - start))
    return {f"p{percent}": float(np.percentile(times, percent)) for percent in (50, 99)}


def measure(predictor: Predictor, items: int) -> dict[str, dict[str, float]]:
    """Times of the lists, and of the answers to all pairs that they replace."""
    seen = list(range(0, items, items // 100))
    every = range(items)
    return {
        "recommend": milliseconds(lambda user: predictor.predict([{"user": user, "recommend": K}]), CALLS),
        "recommend, 100 seen": milliseconds(
            lambda user: predictor.predict([{"user": user, "recommend": K, "seen": seen}]), CALLS
        ),
        "similar": milliseconds(lambda item: predictor.predict([{"item": item, "similar": K}]), CALLS),
        "all pairs": milliseconds(
            lambda user: predictor.predict([{"user": user, "item": item} for item in every]), SLOW_CALLS
        ),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = cli.parser_of("recommend")
    args = parser.parse_args(argv)
    warnings.simplefilter("ignore")  # of fastai, torch and pandas
    described = machine.describe()
    found: list[dict[str, Any]] = []
    table = Table("items", "network", "request", "p50 ms", "p99 ms", title=f"Lists of {K} items", title_justify="left")
    for items in SIZES:
        for name, network in NETWORKS.items():
            with tempfile.TemporaryDirectory(prefix="fastmar-bench-") as folder:
                times = measure(make_model(items, network, Path(folder)), items)
            for request, each in times.items():
                found.append({"items": items, "network": name, "request": request, **each})
                table.add_row(f"{items:,}", name, request, f"{each['p50']:.2f}", f"{each['p99']:.2f}")
    Console().print(table)
    cli.write_results(args.json, {"machine": described, "milliseconds": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
