"""Microseconds per record of each stage of the runtime, in this process, without a server.

    python -m benchmarks.preprocessing [--archive FILE] [--json FILE]

The best of several repeats, since other processes can only add time.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import timeit
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from examples import flights
from rich.console import Console
from rich.table import Table

from benchmarks import cli, machine
from benchmarks.answers import golden_pairs
from benchmarks.contenders import fastmar
from fastmar_runtime import payload
from fastmar_runtime.answers import load_decoder
from fastmar_runtime.columns import Gatherer
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.ranges import expected_ranges
from fastmar_runtime.report import Report
from fastmar_runtime.steps import load_step

BATCHES = [1, 16, 64, 4096]
SECONDS = 0.4  # of all repeats
MIN_SECONDS = 0.001  # of one repeat: much longer ones would always include other processes on a busy machine


def best(function: Callable[[], Any]) -> float:
    """The shortest time of one call, in microseconds."""
    timer = timeit.Timer(function)
    number = 1
    while timer.timeit(number) < MIN_SECONDS:
        number *= 2
    end = time.perf_counter() + SECONDS
    shortest = timer.timeit(number)
    while time.perf_counter() < end:
        shortest = min(shortest, timer.timeit(number))
    return 1e6 * shortest / number


def stages(predictor: Predictor, records: list[dict[str, Any]], size: int) -> dict[str, float]:
    """Microseconds per record of each stage, for a batch of `size` requests with one record each."""
    spec = predictor.spec
    batch = [records[i % len(records)] for i in range(size)]
    bodies = [json.dumps(record).encode() for record in batch]
    gather = Gatherer(spec.fields, expected_ranges(spec), spec.targets)
    requests = [payload.read(body, payload.JSON_TYPE, spec) for body in bodies]
    times = {
        "payload.read, JSON text": best(lambda: [payload.read(body, payload.JSON_TYPE, spec) for body in bodies]),
        "payload.read, parsed by TorchServe": best(lambda: [payload.read(r, payload.JSON_TYPE, spec) for r in batch]),
        "gather": best(lambda: gather(batch, Report(size))),
    }
    report = Report(size)
    columns: Any = gather(batch, report)
    for state in spec.steps:
        step = load_step(state)
        times[f"step {state['step']}"] = best(lambda step=step, columns=columns: step(columns, report))
        columns = step(columns, report)
    times["graph"] = best(lambda: predictor.run(columns))
    output, decode = predictor.run(columns), load_decoder(spec.decode)
    times["decode"] = best(lambda: decode(output))
    answers = predictor.predict(batch)
    pairs = list(zip(requests, answers, strict=True))
    times["payload.write"] = best(lambda: [payload.write(request, [answer], spec) for request, answer in pairs])
    times["Predictor.predict, from gather to decode"] = best(lambda: predictor.predict(batch))
    return {name: total / size for name, total in times.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = cli.parser_of("preprocessing")
    parser.add_argument(
        "--archive", type=Path, metavar="FILE", help="of a table, measured with its golden records; default: of flights"
    )
    args = parser.parse_args(argv)
    if args.archive:
        predictor = Predictor.open(args.archive)
        records = [record for record, _ in golden_pairs(args.archive)]
    else:
        model = flights.benchmark_model()
        records = model.records
        with tempfile.TemporaryDirectory(prefix="fastmar-bench-") as folder:
            fastmar(model.learner, Path(folder))
            predictor = Predictor.open(Path(folder) / f"{flights.NAME}.mar")
    times = {size: stages(predictor, records, size) for size in BATCHES}
    table = Table(title="Microseconds per record", title_justify="left")
    table.add_column("stage", no_wrap=True)
    for size in BATCHES:
        table.add_column(f"batch of {size:,}", justify="right")
    for name in times[BATCHES[0]]:
        table.add_row(name, *(f"{times[size][name]:.2f}" for size in BATCHES))
    Console().print(table)
    cli.write_results(args.json, {"machine": machine.describe(), "microseconds": times})
    return 0


if __name__ == "__main__":
    sys.exit(main())
