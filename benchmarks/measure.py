"""Measures one server: warm-up, check of answers, and a run for each number of connections."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.answers import check_all, check_samples
from benchmarks.contenders import Contender
from benchmarks.generators import run_checked, run_fast
from benchmarks.load import JSON_TYPE, Load, read_bodies

PAUSE = 2.0  # seconds between two loads: wrk leaves requests behind, which fill the queue of a slow server


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of a measurement.

    Attributes:
        requests: file with the records, or with the names of files to send.
        expected: the answer to each of them; empty for a server without a model.
        connections: numbers of connections; one run each.
        seconds: duration of a run.
        warm_up: seconds before the first run, at the largest number of connections.
        content_type: of each request.
        settle: seconds of load before each run, at its number of connections.
    """

    requests: Path
    expected: list[dict[str, Any]]
    connections: list[int]
    seconds: float
    warm_up: float
    content_type: str = JSON_TYPE
    settle: float = 1.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """The result of one run.

    Attributes:
        load: the result of the load generator.
        server_cpu: microseconds of CPU time per request, by kind of process.
        memory: MiB of all processes after the run; shared pages are divided between them.
        start: seconds from the start of the server until it was ready.
        difference: largest difference from `learn.predict`, of all records and of samples during the warm-up.
    """

    load: Load
    server_cpu: dict[str, float]
    memory: float
    start: float
    difference: float


def measure(contender: Contender, plan: Plan) -> dict[int, Measurement]:
    """Measure a server; the results by number of connections."""
    if contender.takes_lists:
        plan = _with_lists(plan)
    expected = plan.expected if contender.is_checked else []
    with contender.start() as server:
        sent = (server.url, plan.requests, plan.content_type)
        warm_up = run_checked(*sent, max(plan.connections), plan.warm_up)
        difference = 0.0
        if expected:
            difference = check_samples(warm_up.samples, expected)
            bodies = read_bodies(plan.requests, plan.content_type)
            difference = max(difference, check_all(server.url, bodies, expected, plan.content_type))
        results = {}
        for connections in plan.connections:
            run_fast(*sent, connections, plan.settle)
            time.sleep(PAUSE)
            before = server.cpu()
            load = run_fast(*sent, connections, plan.seconds)
            if not load.requests:
                raise SystemExit(f"{contender.name}: no response within {plan.seconds:g} s")
            cpu = {name: 1e6 * (total - before.get(name, 0.0)) / load.requests for name, total in server.cpu().items()}
            time.sleep(PAUSE)
            results[connections] = Measurement(load, cpu, server.memory(), server.start, difference)
    return results


def _with_lists(plan: Plan) -> Plan:
    """The same requests, each as a list of one record."""
    lists = plan.requests.with_stem("lists")
    lists.write_text(json.dumps([[record] for record in json.loads(plan.requests.read_text("utf-8"))]), "utf-8")
    return replace(plan, requests=lists)
