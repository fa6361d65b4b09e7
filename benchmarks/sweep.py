"""Measures `fastmar serve` with different batch sizes, delays and workers, to choose the defaults of archives."""

from __future__ import annotations

import itertools
import zipfile
from pathlib import Path
from typing import Any

import yaml
from examples.flights import NAME
from rich.console import Console
from rich.table import Table

from benchmarks.contenders import fastmar, fastmar_serve
from benchmarks.measure import Plan, measure

BATCH_SIZES, DELAYS, WORKERS = [1, 4, 8, 16, 32], [1, 2, 5], [1, 2]
CONFIG = "model-config.yaml"


def sweep(learner: Path, folder: Path, plan: Plan, console: Console) -> list[dict[str, Any]]:
    """Measure every combination once, and print a line for each."""
    fastmar(learner, folder)
    rows = []
    for batch, delay, workers in itertools.product(BATCH_SIZES, DELAYS, WORKERS):
        if batch == 1 and delay != DELAYS[0]:
            continue  # a batch of 1 does not wait
        settings = {"batchSize": batch, "maxBatchDelay": delay, "minWorkers": workers, "maxWorkers": workers}
        store = folder / f"{batch}-{delay}-{workers}"
        with_settings(folder / f"{NAME}.mar", store / f"{NAME}.mar", settings)
        for connections, measured in measure(fastmar_serve("", store), plan).items():
            load = measured.load
            cpu = sum(measured.server_cpu.values())
            rows.append({**settings, "connections": connections, "rate": load.rate, "p50": load.p50, "p99": load.p99})
            console.print(
                f"batch {batch:2}, delay {delay} ms, workers {workers}, {connections:2} connections: "
                f"{load.rate:7,.0f}/s, p50 {load.p50:.2f} ms, p99 {load.p99:.2f} ms, {cpu:.0f} us CPU/request",
                highlight=False,
            )
    console.print(_table(rows))
    return rows


def with_settings(source: Path, target: Path, settings: dict[str, int]) -> None:
    """Copy an archive, with other settings in its model-config.yaml."""
    target.parent.mkdir(parents=True)
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename == CONFIG:
                data = yaml.safe_dump({**yaml.safe_load(data), **settings}).encode()
            new.writestr(entry, data)


def _table(rows: list[dict[str, Any]]) -> Table:
    """Requests per second and median latency: combinations in rows, numbers of connections in columns."""
    table = Table(title="requests/s (p50 ms)", title_justify="left")
    counts = list(dict.fromkeys(row["connections"] for row in rows))
    for column in ["batchSize", "maxBatchDelay", "workers", *(f"{n} connections" for n in counts)]:
        table.add_column(column, justify="right")
    keys = ["batchSize", "maxBatchDelay", "minWorkers"]
    for combination in dict.fromkeys(tuple(row[key] for key in keys) for row in rows):
        cells = [
            f"{row['rate']:,.0f} ({row['p50']:.2f})" for row in rows if tuple(row[key] for key in keys) == combination
        ]
        table.add_row(*map(str, combination), *cells)
    return table
