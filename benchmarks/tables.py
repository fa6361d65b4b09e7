"""Summaries and tables of results."""

from __future__ import annotations

from math import nan
from statistics import median
from typing import Any

from rich.table import Table

Runs = list[dict[str, Any]]
"""A dict per run: ``contender``, ``connections``, ``repeat``, the fields of `Load`, ``server_cpu``, ``difference``."""


MEDIANS = ("p50", "p99", "client_cpu", "memory", "start", "difference")


def median_of(runs: Runs, contender: str, connections: int, field: str) -> float:
    """The median of a field over the repeats."""
    values = [run[field] for run in runs if (run["contender"], run["connections"]) == (contender, connections)]
    return median(values) if values else nan


def summary(runs: Runs, baseline: str) -> Runs:
    """Medians, the spread of rates and the ratio to `baseline`, for each contender and number of connections."""
    rows = []
    for contender, connections in dict.fromkeys((run["contender"], run["connections"]) for run in runs):
        group = [run for run in runs if (run["contender"], run["connections"]) == (contender, connections)]
        rate = median(run["rate"] for run in group)
        rates = [run["rate"] for run in group]
        rows.append(
            {
                "contender": contender,
                "connections": connections,
                "rate": rate,
                "slowest_rate": min(rates),
                "fastest_rate": max(rates),
                "ratio": rate / median_of(runs, baseline, connections, "rate"),
                **{name: median(run[name] for run in group) for name in MEDIANS},
                "server_cpu": {
                    name: median(run["server_cpu"].get(name, 0.0) for run in group) for name in group[0]["server_cpu"]
                },
            }
        )
    return sorted(rows, key=lambda row: row["connections"])


def rate_text(rate: float) -> str:
    """Requests per second, as text with about three digits."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}"


def results_table(rows: Runs, title: str) -> Table:
    """A table of the rows of `summary`."""
    table = Table(title=title, title_justify="left")
    for column in ["connections", "server"]:
        table.add_column(column, justify="right" if column == "connections" else "left", overflow="fold")
    for column in ["requests/s", "spread", "ratio", "p50 ms", "p99 ms", "CPU us/request", "MiB", "ready s"]:
        table.add_column(column, justify="right", no_wrap=column != "CPU us/request")
    for previous, row in zip([None, *rows], rows, strict=False):
        if previous and previous["connections"] != row["connections"]:
            table.add_section()
        cpu = ", ".join(f"{name} {value:,.0f}" for name, value in row["server_cpu"].items())
        table.add_row(
            str(row["connections"]),
            row["contender"],
            rate_text(row["rate"]),
            f"{rate_text(row['slowest_rate'])} to {rate_text(row['fastest_rate'])}",
            f"{row['ratio']:,.1f}",
            f"{row['p50']:,.2f}",
            f"{row['p99']:,.2f}",
            cpu,
            f"{row['memory']:,.0f}",
            f"{row['start']:.1f}",
        )
    return table
