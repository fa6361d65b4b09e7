"""Measures one server: warm-up, check of answers, and a run for each number of connections."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.answers import check_all, check_samples
from benchmarks.contenders import Contender
from benchmarks.load import JSON_TYPE, Load, read_bodies
from benchmarks.servers.process import RunningServer

ROOT = Path(__file__).parent.parent


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
        difference: largest difference from `learn.predict`, of all records before the run and of samples during it.
    """

    load: Load
    server_cpu: dict[str, float]
    difference: float


def measure(contender: Contender, plan: Plan) -> dict[int, Measurement]:
    """Measure a server; the results by number of connections."""
    with contender.start() as server:
        run_load(server, plan, max(plan.connections), plan.warm_up)
        bodies = read_bodies(plan.requests, plan.content_type)
        difference = check_all(server.url, bodies, plan.expected, plan.content_type) if plan.expected else 0.0
        results = {}
        for connections in plan.connections:
            run_load(server, plan, connections, plan.settle)
            before = server.cpu()
            load = run_load(server, plan, connections, plan.seconds)
            cpu = {name: 1e6 * (total - before.get(name, 0.0)) / load.requests for name, total in server.cpu().items()}
            sampled = check_samples(load.samples, plan.expected) if plan.expected else 0.0
            results[connections] = Measurement(load, cpu, max(difference, sampled))
    return results


def run_load(server: RunningServer, plan: Plan, connections: int, seconds: float) -> Load:
    """Run the load generator in another process."""
    command = [sys.executable, "-m", "benchmarks.load", server.url, str(plan.requests)]
    command += ["--content-type", plan.content_type, "--connections", str(connections), "--seconds", str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.strip())
    return Load(**json.loads(done.stdout))
