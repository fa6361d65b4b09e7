"""A Ray cluster on this machine that serves a folder of `fastmar ray package`; run by `serving`.

    python -m tests.ray.cluster FOLDER PORT NODES

Each line on stdin is a command in JSON, and each reply is one on stdout: `deploy` applies config.yaml again, `status`
returns the status of the application and the process and node of each replica.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import psutil

from fastmar_serving.ports import free_port
from fastmar_serving.ray.package import Options, package

HOST = "127.0.0.1"
START_TIMEOUT = 240.0  # seconds; Ray starts about ten processes per node
MEMORY = 100_000_000  # bytes of the object store, which Serve hardly uses
ENVIRONMENT = {
    "RAY_AUTH_MODE": "disabled",  # otherwise Ray writes a token into the home folder
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_LOG_TO_STDERR": "0",
}


@dataclass
class RayServer:
    """A running cluster.

    Attributes:
        url: address of its HTTP server.
        process: the driver.
    """

    url: str
    process: subprocess.Popen[str]

    def command(self, name: str) -> Any:
        print(json.dumps(name), file=cast(IO[str], self.process.stdin), flush=True)
        return json.loads(cast(IO[str], self.process.stdout).readline())

    def wait_for(self, status: str, replicas: int | None = None) -> dict[str, Any]:
        """Wait for a status of the application, and for a number of running replicas."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            found: dict[str, Any] = self.command("status")
            if found["status"] == status and replicas in (None, len(found["replicas"])):
                return found
            time.sleep(0.5)
        raise TimeoutError(f"{found} instead of {status}")


@contextmanager
def serving(folder: Path, *, nodes: int = 1, environment: dict[str, str] | None = None) -> Iterator[RayServer]:
    """Serve a folder on a cluster with a number of nodes, and stop it at the end."""
    port = free_port(HOST)
    path = {"PYTHONPATH": f"{folder}:{Path(__file__).parents[2]}"}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.ray.cluster", str(folder), str(port), str(nodes)],
            env=os.environ | ENVIRONMENT | path | (environment or {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        children: list[psutil.Process] = []
        try:
            server = RayServer(f"http://{HOST}:{port}", process)
            server.wait_for("RUNNING")
            children = psutil.Process(process.pid).children(recursive=True)
            yield server
        except BaseException:
            log.seek(0)
            print(log.read()[-5000:])
            raise
        finally:
            end(process, children)


def end(process: subprocess.Popen[str], known: Sequence[psutil.Process]) -> None:
    """Let a process that started a cluster end it, by closing its stdin; kill what is still running after that.

    Args:
        process: was started with pipes.
        known: descendants that may no longer be its own.
    """
    descendants = [*known, *(psutil.Process(process.pid).children(recursive=True) if process.poll() is None else [])]
    cast(IO[str], process.stdin).close()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    cast(IO[str], process.stdout).close()
    for child in descendants:
        if child.is_running():
            child.kill()


@contextmanager
def serving_store(store: Path) -> Iterator[RayServer]:
    """Serve the archives of a model store on a cluster of one node."""
    with tempfile.TemporaryDirectory(prefix="fastmar-ray-") as folder:
        package(sorted(store.glob("*.mar")), Path(folder), Options())
        with serving(Path(folder)) as server:
            yield server


def main(folder: Path, port: int, nodes: int) -> None:
    import ray
    import yaml
    from ray import serve
    from ray.cluster_utils import Cluster
    from ray.serve.context import _get_global_client
    from ray.serve.schema import ServeDeploySchema

    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints to stdout
    options = {"num_cpus": 4, "object_store_memory": MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args={**options, "include_dashboard": False})
    for _ in range(nodes - 1):
        cluster.add_node(**options)
    ray.init(address=cluster.address, namespace="serve", log_to_driver=False)
    # One machine has the port only once.
    serve.start(http_options={"host": HOST, "port": port}, proxy_location="HeadOnly")
    client = _get_global_client()

    def deploy() -> None:
        config = yaml.safe_load((folder / "config.yaml").read_text())
        client.deploy_apps(ServeDeploySchema.model_validate(config), _blocking=False)

    def status() -> dict[str, Any]:
        details = client.get_serve_details()["applications"]["fastmar"]
        replicas = [
            {"pid": replica["pid"], "node": replica["node_id"]}
            for deployment in details["deployments"].values()
            for replica in deployment["replicas"]
            if replica["state"] == "RUNNING"
        ]
        return {"status": details["status"], "message": details["message"], "replicas": replicas}

    deploy()
    for line in sys.stdin:
        result = {"deploy": deploy, "status": status}[json.loads(line)]()
        print(json.dumps(result), file=replies, flush=True)
    serve.shutdown()
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
