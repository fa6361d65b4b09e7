"""One server through its paces: warmed up, checked, loaded at each number of connections."""

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
from benchmarks.servers.process import Running

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done to each server.

    Attributes:
        requests: file with the records, or with the names of files to send.
        expected: the answer to each of them; empty for a server without a model.
        connections: how many at a time, one run each.
        seconds: of a run.
        warm_up: seconds before the first run, at the largest number of connections.
        content_type: of each request.
        settle: seconds before each run, at its number of connections; long enough for some answers.
    """

    requests: Path
    expected: list[dict[str, Any]]
    connections: list[int]
    seconds: float
    warm_up: float
    content_type: str = JSON_TYPE
    settle: float = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One run.

    Attributes:
        load: what the client saw.
        server_cpu: microseconds of processor for each request, by kind of process.
        difference: largest from `learn.predict`'s answers, of all records before and of the sample during the run.
    """

    load: Load
    server_cpu: dict[str, float]
    difference: float


def measure(contender: Contender, plan: Plan) -> dict[int, Measured]:
    """Start, warm up, check, and load; by number of connections."""
    with contender.start() as server:
        run_load(server, plan, max(plan.connections), plan.warm_up)
        bodies = read_bodies(plan.requests, plan.content_type)
        different = check_all(server.url, bodies, plan.expected, plan.content_type) if plan.expected else 0.0
        results = {}
        for connections in plan.connections:
            run_load(server, plan, connections, plan.settle)
            before = server.cpu()
            load = run_load(server, plan, connections, plan.seconds)
            cpu = {name: 1e6 * (total - before.get(name, 0.0)) / load.requests for name, total in server.cpu().items()}
            sampled = check_samples(load.samples, plan.expected) if plan.expected else 0.0
            results[connections] = Measured(load, cpu, max(different, sampled))
    return results


def run_load(server: Running, plan: Plan, connections: int, seconds: float) -> Load:
    """The load generator in its own process."""
    command = [sys.executable, "-m", "benchmarks.load", server.url, str(plan.requests)]
    command += ["--content-type", plan.content_type, "--connections", str(connections), "--seconds", str(seconds)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.strip())
    return Load(**json.loads(done.stdout))
