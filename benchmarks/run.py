"""Compares servers of the same learner on this machine.

python -m benchmarks.run [--quick] [--seconds 8] [--repeats 3] [--json FILE]
python -m benchmarks.run --vision
python -m benchmarks.run --sweep
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from examples import flights
from rich.console import Console

from benchmarks import contenders, machine, pictures
from benchmarks.contenders import Contender
from benchmarks.measure import Measurement, Plan, measure
from benchmarks.sweep import sweep
from benchmarks.tables import Runs, rate_text, results_table, summary
from fastmar_serving.settings import cores

FLASK_SERVERS = ["werkzeug", "waitress"]
PILOT = 3.0  # seconds of the run that selects the faster WSGI server for Flask
WARM_UP = 10.0  # seconds, for Java's just-in-time compiler

out = Console(width=None if sys.stdout.isatty() else 140)
progress = Console(stderr=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    args = _arguments(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # also stops the servers
    about = machine.describe()
    with tempfile.TemporaryDirectory(prefix="fastmar-bench-") as name:
        folder = Path(name)
        result = {"machine": about, **(_pictures if args.vision else _records)(folder, args)}
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
        out.print(f"Written to {args.json}")
    return 0


def _records(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """A tabular learner with JSON records."""
    model = flights.benchmark_model()
    requests = folder / "requests.json"
    requests.write_text(json.dumps(model.records), "utf-8")
    plan = Plan(requests, model.answers, args.connections or [1, 8, 32], args.seconds, args.warm_up)
    if args.sweep:
        return {"sweep": sweep(model.learner, folder / "sweep", plan, out)}
    first = json.dumps(model.records[0]).encode()
    flasks = [contenders.flask(model.learner, first, server) for server in FLASK_SERVERS]
    default_torchserve = contenders.torchserve(model.learner, folder / "learn-predict")
    fastmar = contenders.fastmar(model.learner, folder / "fastmar")
    return _compare(flasks, [default_torchserve, fastmar], plan, args.repeats)


def _pictures(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """A resnet34 at 224 pixels with JPEG bodies."""
    model = pictures.benchmark_model()
    requests = folder / "requests.json"
    requests.write_text(json.dumps([str(path) for path in model.pictures]), "utf-8")
    connections = args.connections or [1, 8]
    plan = Plan(requests, model.answers, connections, args.seconds, args.warm_up, "image/jpeg", settle=5.0)
    first = model.pictures[0].read_bytes()
    flasks = [contenders.flask(model.learner, first, server, pictures=True) for server in FLASK_SERVERS]
    fastmar = contenders.fastmar(model.learner, folder / "fastmar")
    out.print(f"{pictures.ABOUT} The {len(model.pictures)} pictures are {pictures.sizes(model.pictures)}.")
    figures = _compare(flasks, [fastmar], plan, args.repeats)
    one_connection = next(
        row for row in figures["summary"] if row["contender"] == fastmar.name
    )  # fewest connections come first
    times = pictures.stages(folder / "fastmar" / f"{flights.NAME}.mar", model.pictures, cores())
    times["HTTP, TorchServe, its queue"] = max(0.0, one_connection["p50"] - sum(times.values()))
    out.print(pictures.stages_table(times, one_connection["connections"]))
    return {**figures, "stations": times}


def _compare(flasks: list[Contender], others: list[Contender], plan: Plan, repeats: int) -> dict[str, Any]:
    """Measure the faster of Flask's servers and the others in turn; print and return the results."""
    short = replace(plan, seconds=max(PILOT, plan.settle), warm_up=max(PILOT, plan.settle))
    ceiling = _measure(contenders.constant(), replace(short, expected=[]))
    pilot = _rounds(flasks, replace(short, connections=[max(plan.connections)]), 1)
    rates = {run["contender"]: run["rate"] for run in pilot}
    flask = max(flasks, key=lambda contender: rates[contender.name])
    runs = _rounds([flask, *others], plan, repeats)
    rows = summary(runs, flask.name)
    out.print(results_table(rows, f"Median of {repeats}, {plan.seconds:g} s each; the ratio is to {flask.name}"))
    out.print(
        "Flask's servers in the pilot: " + ", ".join(f"{name} {rate_text(rate)}/s" for name, rate in rates.items())
    )
    for load in (measured.load for measured in ceiling.values()):
        out.print(f"The load generator's ceiling at {load.connections} connections: {load.rate:,.0f}/s")
    out.print(f"Largest difference of an answer from learn.predict's: {max(run['difference'] for run in runs):.1g}")
    settings = {"seconds": plan.seconds, "warm_up": plan.warm_up, "repeats": repeats, "records": len(plan.expected)}
    ceilings = [_as_dict("constant", 0, measured) for measured in ceiling.values()]
    return {"settings": settings, "summary": rows, "runs": runs, "pilot": pilot, "ceiling": ceilings}


def _rounds(rivals: list[Contender], plan: Plan, repeats: int) -> Runs:
    """Interleave the servers (A B C, A B C), so that other load on the machine affects all of them."""
    return [
        _as_dict(contender.name, repeat, measured)
        for repeat in range(repeats)
        for contender in rivals
        for measured in _measure(contender, plan).values()
    ]


def _measure(contender: Contender, plan: Plan) -> dict[int, Measurement]:
    progress.print(f"{contender.name} ...", highlight=False)
    results = measure(contender, plan)
    for connections, measured in results.items():
        progress.print(f"  {connections:3} connections: {rate_text(measured.load.rate):>9} requests/s", highlight=False)
    return results


def _as_dict(contender: str, repeat: int, measured: Measurement) -> dict[str, Any]:
    load = asdict(measured.load)
    del load["samples"]
    head = {"contender": contender, "repeat": repeat}
    return {**head, **load, "server_cpu": measured.server_cpu, "difference": measured.difference}


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="duration of each run (default: %(default)g)")
    parser.add_argument("--warm-up", type=float, default=WARM_UP, help="seconds before the runs (default: %(default)g)")
    parser.add_argument("--repeats", type=int, default=3, help="number of rounds (default: %(default)s)")
    parser.add_argument("--connections", type=int, nargs="+", help="default: 1 8 32, for pictures 1 8")
    parser.add_argument("--quick", action="store_true", help="one round of 3 s, as a smoke test")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all results to this file")
    parser.add_argument("--vision", action="store_true", help="pictures and a resnet34: Flask and fastmar")
    parser.add_argument("--sweep", action="store_true", help="only fastmar, over batch sizes, delays and workers")
    args = parser.parse_args(argv)
    if args.quick:
        args.seconds, args.repeats, args.warm_up = 3.0, 1, 3.0
    return args


if __name__ == "__main__":
    sys.exit(main())
