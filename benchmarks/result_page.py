"""Measures the page of a scored table: python -m benchmarks.result_page [--rows 100000]

For each choice of rows: CPU time of the page, the size of its HTML, and the time as a share of reading the CSV file of
answers once, which each page would do without the SQLite file. The table has 14 columns of random values.
"""

from __future__ import annotations

import argparse
import csv
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flask import Flask, render_template
from rich.console import Console
from rich.table import Table

from fastmar_web import create_app
from fastmar_web.presentation import Presentation
from fastmar_web.tables.result_view import result_view
from fastmar_web.tables.results import FAILED, Choice, opened
from fastmar_web.tables.results_writer import write_results

COLUMNS = 14
ANSWER = ["prediction", "probability", "warnings", "error"]
CHOICES = {
    "first page": Choice(),
    "one label": Choice(label="late"),
    "sorted by a number, middle": Choice(sort=9, descending=True, page=1000),
    "one label, sorted by a text": Choice(label="late", sort=2),
    "errors": Choice(state=FAILED),
}


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=100_000)
    rows = arguments.parse_args().rows
    out = Table("what", "CPU seconds", "ratio to reading the CSV", "HTML, kB")
    with tempfile.TemporaryDirectory() as folder:
        answers, database = Path(folder, "answers.csv"), Path(folder, "results.sqlite")
        _write(answers, rows)
        whole = _seconds(lambda: _read(answers))[0]
        built = _seconds(lambda: write_results(answers, database, inputs=COLUMNS, delimiter=","))[0]
        out.add_row("reading the CSV", f"{whole:.2f}", "1.00", "")
        out.add_row("writing the SQLite file", f"{built:.2f}", f"{built / whole:.2f}", "")
        app = create_app()
        for name, choice in CHOICES.items():
            seconds, html = _seconds(lambda choice=choice: _page(app, database, choice))
            out.add_row(name, f"{seconds:.3f}", f"{seconds / whole:.2f}", f"{len(html) / 1000:.0f}")
        app.extensions["fastmar_jobs"].close()
    Console().print(out)


def _page(app: Flask, database: Path, choice: Choice) -> str:
    with opened(database) as results, app.test_request_context():
        result = result_view(results, choice, {"targets": ["late"]}, Presentation({}), lambda **query: f"?{query}")
        return render_template("_result.html", result=result, job=SimpleNamespace(id="x"))


def _read(path: Path) -> int:
    with path.open(newline="") as file:
        return sum(1 for _ in csv.reader(file))


def _seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def _write(path: Path, rows: int) -> None:
    rng = random.Random(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"x{n}" for n in range(COLUMNS)), *ANSWER])
        for _ in range(rows):
            cells = [rng.choice("abcdef") if n < COLUMNS // 2 else round(rng.gauss(50, 20), 2) for n in range(COLUMNS)]
            failed = rng.random() < 0.01
            answer = ["", "", "", "'x7' must be a number. Fix: send one."] if failed else [
                rng.choice(["late", "on time"]), rng.uniform(0.5, 1), "", "",
            ]  # fmt: skip
            writer.writerow([*cells, *answer])


if __name__ == "__main__":
    main()
