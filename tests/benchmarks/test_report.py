"""Tables and the plot in the documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.report import compact_table, draw, filled, latencies_table, pictures_table
from benchmarks.tables import summary


def run(contender: str, connections: int, rate: float) -> dict[str, Any]:
    figures = {"p50": 1.0, "p99": 2.0, "client_cpu": 3.0, "memory": 150.0, "start": 1.5, "difference": 0.0}
    return {"contender": contender, "connections": connections, "rate": rate, **figures, "server_cpu": {"python": 80.0}}


RUNS = [run("ours", 1, 100.0), run("FastAPI", 1, 200.0), run("ours", 64, 24_000.0), run("FastAPI", 64, 8_000.0)]
RESULTS: dict[str, Any] = {"summary": summary(RUNS, "FastAPI"), "images": {"ours": 290_000_000}}


def test_compact_table_has_rates_ratios_and_figures() -> None:
    lines = compact_table(RESULTS).splitlines()
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        "ours", "100 (0.50x)", "24,000 (3.00x)", "1.0", "2.0", "0.080", "150", "1.5", "290"
    ]  # fmt: skip
    assert lines[3].endswith("|  |")  # no image


def test_tables_of_latencies_and_pictures() -> None:
    assert "| ours | 1.00 / 2.00 | 1.00 / 2.00 |" in latencies_table(RESULTS["summary"])
    mixed = {"connections": 8, "pictures": 2, "p99_alone": 1.5, "p99_beside": 4.5}
    text = pictures_table({**RESULTS, "mixed": mixed, "stages": {"decode": 1.0, "graph": 3.0}})
    assert "1.5 ms alone" in text
    assert "graph 75%" in text


def test_only_the_text_between_markers_changes() -> None:
    text = "a\n<!-- figures: engines -->\nold\n<!-- end of figures -->\nb\n"
    written = filled(text, {"engines": "new"})
    assert written == text.replace("old", "new")
    assert filled(written, {"engines": "new"}) == written


def test_the_plot_names_all_servers_and_is_reproducible(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw(RESULTS["summary"], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert b"FastAPI" in (tmp_path / "a.svg").read_bytes()
