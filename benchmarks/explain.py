"""Milliseconds of an explanation in this process, without a server: python -m benchmarks.explain ARCHIVE...

For each archive of a table it prints the number of columns and of the copies of a record that an explanation predicts,
the time of an explanation, the time of asking for each copy alone, and the largest difference of the answers.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from fastmar_runtime.predictor import Predictor
from fastmar_runtime.record_schemas import example

CALLS = 50


def copies(record: dict[str, Any], answer: dict[str, Any]) -> list[tuple[dict[str, Any], float]]:
    """Each copy of a record in an explanation, and its outcome."""
    return [
        ({**record, column["column"]: point["value"]}, point["outcome"])
        for column in answer["columns"]
        for point in column["curve"]
    ]


def percentiles(call: Callable[[], Any], count: int = CALLS) -> tuple[float, float]:
    """The median and the 99th percentile of the time of `call`, in milliseconds."""
    call()
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return float(np.percentile(times, 50)), float(np.percentile(times, 99))


def measure(path: str) -> list[str]:
    """A row of the table."""
    model = Predictor.open(path)
    record = example(model.spec)
    asked = {**record, "explain": True}
    [answer] = model.predict([asked])
    rows = copies(record, answer)
    label = answer["outcome"] if "probabilities" in answer["answer"] else None

    def alone() -> list[float]:
        answers = [model.predict([row])[0] for row, _ in rows]
        return [each["prediction"] if label is None else each["probabilities"][label] for each in answers]

    difference = max(abs(ours - theirs) for ours, (_, theirs) in zip(alone(), rows, strict=True))
    p50, p99 = percentiles(lambda: model.predict([asked]))
    one_by_one, _ = percentiles(alone, 3)
    columns, size = len(answer["columns"]), len(rows)
    times = [f"{p50:.1f}", f"{p99:.1f}", f"{one_by_one:.1f}"]
    return [model.spec.name, str(columns), str(size), *times, f"{difference:.1e}"]


def main(paths: list[str]) -> None:
    """Print the table."""
    if not paths:
        raise SystemExit(__doc__)
    table = Table(title="Explanations, milliseconds")
    for name in ("model", "columns", "copies", "p50", "p99", "one at a time", "largest difference"):
        table.add_column(name)
    for path in paths:
        table.add_row(*measure(path))
    Console(width=110).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
