"""Writes the tables and the plot of the results into the documents.

    python -m benchmarks.report

It reads `engines.json` and `pictures.json` of `benchmarks/results`, as far as they exist, and replaces the text of the
documents between `<!-- figures: NAME -->` and `<!-- end of figures -->`.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from benchmarks.tables import Runs, rate_text

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PLOT = ROOT / "docs" / "images" / "engines.svg"
DOCUMENTS = [ROOT / "README.md", ROOT / "docs" / "engines.md", ROOT / "benchmarks" / "README.md"]
_BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def main() -> None:
    """Write the plot and the documents."""
    engines, pictures = (_read(RESULTS / f"{name}.json") for name in ("engines", "pictures"))
    if engines:
        draw(engines["summary"], PLOT)
    for document in DOCUMENTS:
        blocks = {}
        if engines:
            plot = f"![Requests per second by connections]({os.path.relpath(PLOT, document.parent)})"
            baseline = engines["settings"]["baseline"]
            note = f"The ratio is to {baseline}. "
            note += "The columns after the rates are measured in the runs with the most connections."
            blocks["engines"] = f"{compact_table(engines)}\n\n{note}\n\n{plot}"
            blocks["latencies"] = latencies_table(engines["summary"])
        if pictures:
            blocks["pictures"] = pictures_table(pictures)
        document.write_text(filled(document.read_text("utf-8"), blocks), "utf-8")


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def filled(text: str, blocks: dict[str, str]) -> str:
    """`text` with the blocks between the markers."""
    return _BLOCK.sub(
        lambda match: f"{match[1]}{blocks[match[2]]}\n{match[3]}" if match[2] in blocks else match[0], text
    )


def compact_table(results: dict[str, Any]) -> str:
    """Rates of each server by connections with the ratio to the baseline; the other figures at the most connections."""
    rows, counts = results["summary"], _counts(results["summary"])
    images = results["images"]
    head = [f"{count}" for count in counts]
    head[0] = f"requests/s at {counts[0]} connection{'s' * (counts[0] > 1)}"
    columns = [
        "server",
        *head,
        "p50 ms",
        "p99 ms",
        "CPU s per 1,000",
        "memory MiB",
        "ready s",
        *(["image MB"] if images else []),
    ]
    lines = []
    for name, by_count in _by_server(rows).items():
        last = by_count[counts[-1]]
        lines.append(
            [
                name,
                *(_rate(by_count[count]) for count in counts),
                f"{last['p50']:,.1f}",
                f"{last['p99']:,.1f}",
                f"{sum(last['server_cpu'].values()) / 1000:.3f}",
                f"{last['memory']:,.0f}",
                f"{last['start']:.1f}",
                *([f"{images[name] / 1e6:,.0f}" if name in images else ""] if images else []),
            ]
        )
    return _markdown(columns, lines)


def latencies_table(rows: Runs) -> str:
    """p50 and p99 of each server by number of connections."""
    counts = _counts(rows)
    columns = ["p50 / p99 in ms at", *(f"{count} connection{'s' * (count > 1)}" for count in counts)]
    lines = [
        [name, *(f"{by_count[count]['p50']:,.2f} / {by_count[count]['p99']:,.2f}" for count in counts)]
        for name, by_count in _by_server(rows).items()
    ]
    return _markdown(columns, lines)


def pictures_table(results: dict[str, Any]) -> str:
    """Rates and latencies with pictures, and the latency of a fast model beside a slow one."""
    rows, counts = results["summary"], _counts(results["summary"])
    columns = ["pictures/s (p50 / p99 in ms) at", *(f"{count} connection{'s' * (count > 1)}" for count in counts)]
    lines = [
        [
            name,
            *(f"{_rate(row)} ({row['p50']:,.0f} / {row['p99']:,.0f})" for row in (by_count[count] for count in counts)),
        ]
        for name, by_count in _by_server(rows).items()
    ]
    mixed, stages = results["mixed"], results["stages"]
    total = sum(stages.values())
    return (
        f"{_markdown(columns, lines)}\n\n"
        f"With the models of records and of pictures in one asgi server, the p99 of records at {mixed['connections']} "
        f"connections is {mixed['p99_alone']:.1f} ms alone,\nand {mixed['p99_beside']:.1f} ms while "
        f"{mixed['pictures']} connections send pictures.\nA picture takes {total:.0f} ms in one process: "
        + ", ".join(f"{name} {time / total:.0%}" for name, time in stages.items())
        + "."
    )


def draw(rows: Runs, path: Path) -> None:
    """Draw requests per second by connections, a line for each server."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "fastmar"  # the same file from the same figures
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    counts = _counts(rows)
    for name, by_count in _by_server(rows).items():
        ours = name.startswith("fastmar")
        axes.plot(
            [str(count) for count in counts],
            [by_count[count]["rate"] for count in counts],
            marker="o",
            linewidth=2.5 if ours else 1.2,
            linestyle="-" if ours else "--",
            label=name,
        )
    axes.set(xlabel="connections", ylabel="requests per second", yscale="log")
    axes.grid(visible=True, which="both", alpha=0.2)
    figure.legend(loc="outside right upper", frameon=False, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


def _rate(row: dict[str, Any]) -> str:
    """A rate and its ratio to the baseline."""
    return f"{rate_text(row['rate'])} ({row['ratio']:.2f}x)"


def _counts(rows: Runs) -> list[int]:
    return sorted({row["connections"] for row in rows})


def _by_server(rows: Runs) -> dict[str, dict[int, dict[str, Any]]]:
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["contender"], {})[row["connections"]] = row
    return found


def _markdown(columns: list[str], lines: list[list[str]]) -> str:
    rule = ["---", *["--:" for _ in columns[1:]]]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [columns, rule, *lines])


if __name__ == "__main__":
    main()
