"""Runs a load generator in another process: wrk, which takes less CPU time, or `load.py` if wrk is not installed."""

from __future__ import annotations

import json
import math
import resource
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.load import Load, read_bodies

ROOT = Path(__file__).parent.parent
WRK = shutil.which("wrk")
TIMEOUT = 60  # seconds of one request


def run_checked(url: str, requests: Path, content_type: str, connections: int, seconds: float) -> Load:
    """Run `load.py`, which checks every response and returns samples of the answers."""
    command = [sys.executable, "-m", "benchmarks.load", url, str(requests)]
    command += ["--content-type", content_type, "--connections", str(connections), "--seconds", str(seconds)]
    return Load(**json.loads(_output(command)))


def run_fast(url: str, requests: Path, content_type: str, connections: int, seconds: float) -> Load:
    """Run wrk, or `load.py` without it. wrk checks the status of every response, not its body."""
    if WRK is None:
        return run_checked(url, requests, content_type, connections, seconds)
    bodies = requests.with_suffix(".bodies")
    if not bodies.exists():
        bodies.write_bytes(b"".join(b"%d\n%b" % (len(body), body) for body in read_bodies(requests, content_type)))
    command = [WRK, "--threads", "1", "--connections", str(connections), "--duration", f"{math.ceil(seconds)}s"]
    command += ["--timeout", f"{TIMEOUT}s", "--script", "benchmarks/wrk.lua", url, "--", str(bodies), content_type]
    before = _cpu()
    printed = json.loads(_output(command).splitlines()[-1])
    if printed["failed"]:
        raise SystemExit(f"{url}: {printed['failed']} of {printed['requests']} requests failed")
    return Load(
        connections=connections,
        seconds=printed["seconds"],
        requests=printed["requests"],
        rate=printed["requests"] / printed["seconds"],
        p50=printed["p50"],
        p99=printed["p99"],
        longest=printed["longest"],
        client_cpu=1e6 * (_cpu() - before) / max(1, printed["requests"]),
        reconnects=0,
        samples=[],
    )


def _output(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.strip())
    return done.stdout


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
