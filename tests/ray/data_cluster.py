"""A Ray cluster on this machine for tests of Ray Data; run by `cluster`.

    python -m tests.ray.data_cluster NODES

Prints the address. The cluster ends when stdin is closed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, cast

import psutil

from tests.ray import cluster as of_serve

ENVIRONMENT = of_serve.ENVIRONMENT | {"RAY_DATA_PARQUET_FOOTER_NUM_ACTORS": "1"}  # instead of 32 processes

THREADS = 2  # of an actor of `tests.ray.driver`
CPUS = 3  # of each node: those of an actor, and one for reading


@dataclass
class DataCluster:
    """A running cluster.

    Attributes:
        address: for `ray.init`.
        process: has started it.
    """

    address: str
    process: subprocess.Popen[str]

    def actors(self, name: str) -> list[psutil.Process]:
        """The processes of actors whose class has `name` in its own name."""
        return [child for child in _children(self.process.pid) if name in _title(child)]


@contextmanager
def cluster(nodes: int = 2) -> Iterator[DataCluster]:
    """Start a cluster of `nodes`, and stop it at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.ray.data_cluster", str(nodes)],
        env=os.environ | ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    children: list[psutil.Process] = []
    try:
        address = cast(IO[str], process.stdout).readline().strip()
        if not address:
            raise RuntimeError("the cluster did not start")
        children = _children(process.pid)
        yield DataCluster(address, process)
    finally:
        of_serve.end(process, children)


def _children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True) if psutil.pid_exists(pid) else []


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def main(nodes: int) -> None:
    from ray.cluster_utils import Cluster

    printed = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints to stdout
    options = {"num_cpus": CPUS, "object_store_memory": of_serve.MEMORY}
    started = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
    for _ in range(nodes - 1):
        started.add_node(**options)
    print(started.address, file=printed, flush=True)
    sys.stdin.read()
    started.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
