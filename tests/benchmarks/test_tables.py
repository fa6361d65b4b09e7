"""Medians and ratios."""

from __future__ import annotations

import io
from typing import Any

from benchmarks.tables import results_table, summary
from rich.console import Console


def run(contender: str, rate: float, connections: int = 8) -> dict[str, Any]:
    figures = {"p50": 1.0, "p99": 2.0, "client_cpu": 3.0, "difference": 0.0, "server_cpu": {"python": 5.0}}
    figures |= {"memory": 100.0, "start": 1.0}
    return {"contender": contender, "connections": connections, "rate": rate, **figures}


RUNS = [
    run("flask", 90),
    run("fastmar", 5000),
    run("flask", 100),
    run("fastmar", 6000),
    run("flask", 110),
    run("fastmar", 9000),
]


def test_median_spread_and_ratio() -> None:
    flask, fastmar = summary(RUNS, "flask")
    assert (flask["rate"], flask["ratio"]) == (100, 1)
    assert (fastmar["rate"], fastmar["slowest_rate"], fastmar["fastest_rate"], fastmar["ratio"]) == (
        6000,
        5000,
        9000,
        60,
    )
    assert fastmar["server_cpu"] == {"python": 5}


def test_ratio_for_each_number_of_connections() -> None:
    rows = summary([*RUNS, run("flask", 50, 1), run("fastmar", 500, 1)], "flask")
    assert [(row["connections"], row["contender"], row["ratio"]) for row in rows] == [
        (1, "flask", 1),
        (1, "fastmar", 10),
        (8, "flask", 1),
        (8, "fastmar", 60),
    ]


def test_results_table() -> None:
    console = Console(width=140, file=io.StringIO(), record=True)
    console.print(results_table(summary(RUNS, "flask"), "title"))
    text = console.export_text()
    assert "60.0" in text
    assert "5,000 to 9,000" in text
