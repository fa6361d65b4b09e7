"""Measure memory and processor usage of a pod's container, idle and under load.

    make demo image
    python -m tests.deploy.footprint .build/demo/model_store
    FASTMAR_IMAGE=fastmar:asgi python -m tests.deploy.footprint .build/demo/model_store

Runs the pod of examples/volume with the archives of a folder, under its own limits, and asks each model for its golden
records. Memory is the working set, as the kubelet counts it: what is used, less the files that could be dropped. The
load generator takes its share of the same machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from fastmar_runtime.predictor import BundleFiles
from fastmar_serving.archives import find_archives
from tests.deploy.manifests import DEPLOY, only, pod_template, render
from tests.deploy.pod import IMAGE, Outside, Pod, docker, running_pod

FASTMAR = "registry.example.com/fastmar:0.1.0"
KEY = "0123456789abcdef" * 2


def main() -> None:
    """Print one line for each state of the pod."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model_store", type=Path)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()
    store = find_archives(args.model_store, [])
    claim = {f"release-1/{archive.path.name}": archive.path.read_bytes() for archive in store}
    secret = {"key": KEY.encode()}
    outside = Outside(images={FASTMAR: IMAGE}, secrets={"fastmar-key": secret}, claims={"fastmar-archives": claim})
    template = pod_template(only(render(DEPLOY / "kubernetes/examples/volume"), "Deployment"))
    print(f"{IMAGE}, limits {json.dumps(template['spec']['containers'][0]['resources']['limits'])}")
    with running_pod(template, outside) as pod:
        pod.wait_until_started()
        print(f"{'ready, idle':32} {'':>10} {working_set(pod):6.0f} MiB")
        for archive in store:
            records = BundleFiles(archive.path).json("golden/records.json")
            for connections in args.connections:
                url = f"{pod.url}/predictions/{archive.name}"
                rate, busy, memory = under_load(pod, url, records, connections, args.seconds)
                what = f"{archive.name}, {connections} connections"
                print(f"{what:32} {rate:6.0f} /s {memory:6.0f} MiB {busy:5.2f} processors")


def under_load(
    pod: Pod, url: str, records: list[object], connections: int, seconds: float
) -> tuple[float, float, float]:
    """Requests per second, processors used, and the largest working set."""
    seen = [working_set(pod)]
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            seen.append(working_set(pod))

    with tempfile.NamedTemporaryFile("w", suffix=".json") as requests:
        json.dump(records, requests)
        requests.flush()
        words = [sys.executable, "-m", "benchmarks.load", url, requests.name]
        words += ["--connections", str(connections), "--seconds", str(seconds), "--key", KEY]
        watcher = threading.Thread(target=watch)
        watcher.start()
        before = processor_seconds(pod)
        try:
            done = subprocess.run(words, cwd=DEPLOY.parent, capture_output=True, text=True, check=True)
        finally:
            used = processor_seconds(pod) - before
            over.set()
            watcher.join()
    load = json.loads(done.stdout)
    return load["rate"], used / load["seconds"], max(seen)


def working_set(pod: Pod) -> float:
    """MiB; what `docker stats` shows leaves out files that could be dropped, as the kubelet does."""
    used = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", pod.name).split("/")[0].strip()
    number = float(used.rstrip("KMGiB"))
    return number * {"KiB": 2**-10, "MiB": 1, "GiB": 2**10}[used[-3:]]


def processor_seconds(pod: Pod) -> float:
    """Processor time of all its processes in seconds."""
    ticks = 0
    for stat in docker("exec", pod.name, "sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null; true").splitlines():
        fields = stat.rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / 100  # USER_HZ, which is 100 on every Linux


if __name__ == "__main__":
    main()
