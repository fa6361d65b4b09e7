"""Compares servers of the same learner on this machine.

python -m benchmarks.run [--learner FILE] [--quick] [--json FILE]
python -m benchmarks.run --vision
python -m benchmarks.run --text
python -m benchmarks.run --profiles
python -m benchmarks.run --sweep
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

import pandas as pd
from examples import flights
from rich.console import Console

from benchmarks import cli, contenders, long_texts, machine, pictures
from benchmarks.answers import golden_pairs
from benchmarks.contenders import Contender
from benchmarks.generators import WRK, run_checked, run_fast
from benchmarks.load import JSON_TYPE
from benchmarks.measure import Measurement, Plan, measure
from benchmarks.sweep import sweep
from benchmarks.tables import Runs, rate_text, results_table, summary
from fastmar_serving.settings import cores

ARCHIVE = f"{flights.NAME}.mar"
JPEG = "image/jpeg"
MIXED = (8, 2)  # connections with records, connections with pictures

out = Console(width=None if sys.stdout.isatty() else 140)
progress = Console(stderr=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    args = _arguments(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # also stops the servers
    about = machine.describe()
    with tempfile.TemporaryDirectory(prefix="fastmar-bench-") as name:
        folder = Path(name)
        compare = _pictures if args.vision else _texts if args.text else _profiles if args.profiles else _records
        result = {"machine": about, **compare(folder, args)}
    cli.write_results(args.json, result)
    return 0


def _records(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """A tabular learner with JSON records."""
    flight = None if args.learner else flights.benchmark_model()
    learner = flight.learner if flight else args.learner
    torchserve = contenders.fastmar(learner, folder / "fastmar")
    archive = folder / "fastmar" / ARCHIVE
    if flight:
        records, answers = flight.records, flight.answers
    else:
        pairs = golden_pairs(archive)
        records, answers = [record for record, _ in pairs], [answer for _, answer in pairs]
    requests = _write(folder / "requests.json", records)
    plan = Plan(requests, answers, args.connections or [1, 8, 32, 64], args.seconds, args.warm_up)
    if args.sweep:
        return {"sweep": sweep(learner, folder / "sweep", plan, out)}
    first = json.dumps(records[0]).encode()
    model = _extract(archive, folder / "model")
    fastapi = contenders.fastapi(model, first, workers=cores(), threads=1)
    rivals = [
        contenders.fastmar_serve(contenders.ASGI, folder / "fastmar", "--engine", "asgi"),
        torchserve,
        fastapi,
        contenders.litserve(model, first),
        contenders.bentoml(model, first),
        contenders.granian_constant(),
        contenders.echo(archive, folder / "echo"),
    ]
    if flight:  # another learner may be of a fastai that is not installed
        rivals += [contenders.flask(learner, first), contenders.torchserve(learner, folder / "learn-predict")]
    return _compare(_selected(rivals, args.only), fastapi, plan, args.repeats)


def _pictures(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """A resnet34 at 224 pixels with JPEG bodies; then a slow and a fast model in one server."""
    model = pictures.benchmark_model()
    requests = _write(folder / "requests.json", [str(path) for path in model.pictures])
    plan = Plan(requests, model.answers, args.connections or [1, 8], args.seconds, args.warm_up, JPEG, settle=2.0)
    first = model.pictures[0].read_bytes()
    torchserve = contenders.fastmar(model.learner, folder / "fastmar")
    files = _extract(folder / "fastmar" / ARCHIVE, folder / "model")
    one_worker = contenders.fastapi(files, first, workers=1, threads=cores())
    rivals = [
        contenders.fastmar_serve(contenders.ASGI, folder / "fastmar", "--engine", "asgi"),
        torchserve,
        one_worker,
        contenders.fastapi(files, first, workers=cores(), threads=1),
        contenders.flask(model.learner, first, pictures=True),
    ]
    out.print(f"{pictures.ABOUT} The {len(model.pictures)} pictures are {pictures.sizes(model.pictures)}.")
    figures = _compare(_selected(rivals, args.only), one_worker, plan, args.repeats)
    times = pictures.stages(folder / "fastmar" / ARCHIVE, model.pictures, cores())
    out.print(pictures.stages_table(times))
    return {**figures, "stages": times, "mixed": _mixed(folder, requests, args)}


def _texts(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """A full-size AWD_LSTM with texts of about 300 words."""
    model = long_texts.benchmark_model()
    requests = _write(folder / "requests.json", model.texts)
    plan = Plan(requests, model.answers, args.connections or [1, 8], args.seconds, args.warm_up, settle=2.0)
    torchserve = contenders.fastmar(model.learner, folder / "fastmar")
    flask = contenders.flask(model.learner, json.dumps(model.texts[0]).encode())
    asgi = contenders.fastmar_serve(contenders.ASGI, folder / "fastmar", "--engine", "asgi")
    reduced = long_texts.export_int8(model, folder / "int8")
    int8 = contenders.fastmar_serve(f"{contenders.ASGI}, int8", reduced, "--engine", "asgi")
    int8 = replace(int8, is_checked=False)  # its answers differ
    out.print(long_texts.ABOUT)
    return _compare(_selected([asgi, int8, torchserve, flask], args.only), flask, plan, args.repeats)


def _profiles(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Both engines, without observers of the records, with a profile, and with a log of all requests."""
    flight = flights.benchmark_model()
    requests = _write(folder / "requests.json", flight.records)
    plan = Plan(requests, flight.answers, args.connections or [1, 64], args.seconds, args.warm_up)
    pd.DataFrame(flight.records).to_csv(folder / "reference.csv", index=False)
    contenders.export(flight.learner, folder / "plain", flights.NAME)
    contenders.export(flight.learner, folder / "profiled", flights.NAME, "--reference", str(folder / "reference.csv"))
    files = ("--profiles", str(folder / "profiles"))
    log = ("--request-log", str(folder / "log"))
    rivals = [
        contenders.fastmar_serve(f"{name}{text}", folder / store, *options, *more)
        for name, options in ((contenders.ASGI, ("--engine", "asgi")), (contenders.FASTMAR, ()))
        for text, store, more in (("", "plain", ()), (", profiles", "profiled", files), (", request log", "plain", log))
    ]
    return _compare(_selected(rivals, args.only), rivals[0], plan, args.repeats)


def _mixed(folder: Path, pictures_file: Path, args: argparse.Namespace) -> dict[str, Any]:
    """p99 of a fast model, alone and while the same server computes pictures."""
    flight = flights.benchmark_model()
    store = folder / "mixed"
    contenders.fastmar(flight.learner, store)
    slow = "pictures"
    contenders.export(pictures.benchmark_model().learner, store, slow)
    records = _write(folder / "records.json", flight.records)
    fast, others = MIXED
    alone, beside = [], []
    server = contenders.fastmar_serve(contenders.ASGI, store, "--engine", "asgi")
    with server.start() as running, ThreadPoolExecutor(1) as pool:
        run_checked(running.url, records, JSON_TYPE, fast, args.warm_up)
        url = running.url.replace(flights.NAME, slow)
        for _ in range(args.repeats):
            alone.append(run_fast(running.url, records, JSON_TYPE, fast, args.seconds).p99)
            load = pool.submit(run_checked, url, pictures_file, JPEG, others, args.seconds + 1)
            beside.append(run_fast(running.url, records, JSON_TYPE, fast, args.seconds).p99)
            load.result()
    figures = {"connections": fast, "pictures": others, "p99_alone": median(alone), "p99_beside": median(beside)}
    out.print(
        f"{contenders.ASGI}: p99 of records at {fast} connections {figures['p99_alone']:.2f} ms, and "
        f"{figures['p99_beside']:.2f} ms while {others} connections send pictures to the same server"
    )
    return figures


def _write(path: Path, requests: list[Any]) -> Path:
    path.write_text(json.dumps(requests), "utf-8")
    return path


def _extract(archive: Path, folder: Path) -> Path:
    """The members that hand-written preprocessing needs."""
    with zipfile.ZipFile(archive) as opened:
        for member in ("spec.json", "model.onnx"):
            opened.extract(member, folder)
    return folder


def _selected(rivals: list[Contender], only: list[str] | None) -> list[Contender]:
    return [rival for rival in rivals if only is None or any(part in rival.name for part in only)]


def _compare(rivals: list[Contender], baseline: Contender, plan: Plan, repeats: int) -> dict[str, Any]:
    """Measure the servers in turn; print and return the results."""
    runs = _rounds(rivals, plan, repeats)
    rows = summary(runs, baseline.name)
    out.print(results_table(rows, f"Median of {repeats}, {plan.seconds:g} s each; the ratio is to {baseline.name}"))
    out.print(f"Largest difference of an answer from the expected: {max(run['difference'] for run in runs):.1g}")
    settings = {"seconds": plan.seconds, "warm_up": plan.warm_up, "repeats": repeats, "records": len(plan.expected)}
    settings |= {"baseline": baseline.name, "load_generator": "wrk" if WRK else "benchmarks.load"}
    return {"settings": settings, "images": _images(), "summary": rows, "runs": runs}


def _images() -> dict[str, int]:
    """Bytes of the engines' images, if they were built here."""
    command = ["docker", "image", "inspect", "--format", "{{.Size}}"]
    sizes = {}
    for name, image in ((contenders.ASGI, "fastmar:asgi"), (contenders.FASTMAR, "fastmar:latest")):
        try:
            sizes[name] = int(subprocess.run([*command, image], capture_output=True, check=True, text=True).stdout)
        except (OSError, subprocess.CalledProcessError):
            continue  # no Docker, or no image
    return sizes


def _rounds(rivals: list[Contender], plan: Plan, repeats: int) -> Runs:
    """Interleave the servers (A B C, A B C), so that other load on the machine affects all of them."""
    return [
        _as_dict(contender.name, repeat, measured)
        for repeat in range(repeats)
        for contender in rivals
        if repeat == 0 or not contender.is_once
        for measured in _measure(contender, plan).values()
    ]


def _measure(contender: Contender, plan: Plan) -> dict[int, Measurement]:
    progress.print(f"{contender.name} ...", highlight=False)
    results = measure(contender, plan)
    for connections, measured in results.items():
        progress.print(f"  {connections:3} connections: {rate_text(measured.load.rate):>9} requests/s", highlight=False)
    return results


def _as_dict(contender: str, repeat: int, measured: Measurement) -> dict[str, Any]:
    figures = asdict(measured)
    load = figures.pop("load")
    del load["samples"]
    return {"contender": contender, "repeat": repeat, **load, **figures}


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = cli.parser_of("run", __doc__)
    parser.add_argument("--learner", type=Path, metavar="FILE", help="another tabular classifier than the flights'")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="measure the servers with this text in their names")
    parser.add_argument("--seconds", type=float, default=3.0, help="duration of each run (default: %(default)g)")
    parser.add_argument("--warm-up", type=float, default=5.0, help="seconds before the runs (default: %(default)g)")
    parser.add_argument("--repeats", type=int, help="number of rounds (default: 3, for pictures 2)")
    parser.add_argument("--connections", type=int, nargs="+", help="default: 1 8 32 64, for pictures 1 8")
    parser.add_argument("--quick", action="store_true", help="one round of 2 s, as a smoke test")
    parser.add_argument("--vision", action="store_true", help="pictures and a resnet34")
    parser.add_argument("--text", action="store_true", help="texts of about 300 words and a full-size AWD_LSTM")
    parser.add_argument(
        "--profiles", action="store_true", help="both engines with profiles, with a request log, and without"
    )
    parser.add_argument("--sweep", action="store_true", help="only fastmar, over batch sizes, delays and workers")
    args = parser.parse_args(argv)
    args.repeats = args.repeats or (2 if args.vision or args.text else 3)
    if args.quick:
        args.seconds, args.repeats, args.warm_up = 2.0, 1, 2.0
    return args


if __name__ == "__main__":
    sys.exit(main())
