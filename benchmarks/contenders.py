"""The servers that are compared: each serves the same learner, of records or of pictures."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from examples.flights import NAME
from model_archiver.model_archiver_config import ModelArchiverConfig
from model_archiver.model_packaging import generate_model_archive

from benchmarks.servers.process import RunningServer, free_port, run_server
from fastmar_serving.settings import cores
from fastmar_serving.torchserve.java import find_java

HERE = Path(__file__).parent
FASTMAR = "fastmar serve"
ASGI = "fastmar serve --engine asgi"
PEERS = HERE.parent / ".build" / "bench" / "bin"  # the environment of the peers; `make bench` creates it
_HOST = "http://127.0.0.1"
_PATH = f"/predictions/{NAME}"
_IMPORT_BENCHMARKS = {"PYTHONPATH": str(HERE.parent)}  # for servers that are modules of this package
_COMMAND = [sys.executable, "-m", "fastmar_cli.main"]


@dataclass(frozen=True, slots=True)
class Contender:
    """A server in the comparison.

    Attributes:
        name: its name in tables and results.
        start: starts the server; a context manager.
        is_checked: whether its answers are those of the model.
        takes_lists: whether requests and responses are lists of one record.
        is_once: whether it is measured in the first round only, since it is far slower than the others.
    """

    name: str
    start: Callable[[], AbstractContextManager[RunningServer]]
    is_checked: bool = True
    takes_lists: bool = False
    is_once: bool = False


def granian_constant() -> Contender:
    """Granian with a constant response: the floor, and the maximum of the load generator."""

    def start() -> AbstractContextManager[RunningServer]:
        options = ["--interface", "rsgi", "--workers", str(cores()), "--http", "1", "--no-ws", "--loop", "uvloop"]
        return _peer(["granian", *options, "benchmarks.servers.constant:app"], b"{}")

    return Contender("Granian, constant response", start, is_checked=False)


def fastapi(model: Path, first: bytes, *, workers: int, threads: int) -> Contender:
    """FastAPI on uvicorn, with hand-written preprocessing around the same graph.

    Args:
        model: folder with `spec.json` and `model.onnx`.
        first: body of a request, for the readiness probe.
        workers: number of processes.
        threads: number of threads of the graph in each.
    """

    def start() -> AbstractContextManager[RunningServer]:
        command = ["uvicorn", "benchmarks.servers.fastapi_app:app", "--workers", str(workers), "--no-access-log"]
        return _peer(command, first, MODEL=str(model), THREADS=str(threads))

    shape = f"{workers} worker{'s' * (workers > 1)} of {threads} thread{'s' * (threads > 1)}"
    return Contender(f"FastAPI, {shape}", start)


def litserve(model: Path, first: bytes) -> Contender:
    """LitServe with batching, and the same hand-written preprocessing."""

    def start() -> AbstractContextManager[RunningServer]:
        command = ["python", "-m", "benchmarks.servers.litserve_app", str(model)]
        return _peer([*command, "--path", _PATH, "--workers", str(cores())], first)

    return Contender("LitServe, batched", start)


def bentoml(model: Path, first: bytes) -> Contender:
    """BentoML with adaptive batching, and the same hand-written preprocessing."""

    def start() -> AbstractContextManager[RunningServer]:
        command = ["bentoml", "serve", "benchmarks.servers.bentoml_app:Server"]
        env = {"MODEL": str(model), "ROUTE": _PATH, "WORKERS": str(cores()), "BENTOML_DO_NOT_TRACK": "true"}
        return _peer(command, b"[" + first + b"]", **env)

    return Contender("BentoML, adaptive batching", start, takes_lists=True)


def echo(archive: Path, folder: Path) -> Contender:
    """TorchServe under `fastmar serve` with a handler that returns the bodies: the floor of that engine."""
    folder.mkdir()
    with zipfile.ZipFile(archive) as opened:
        opened.extract("model-config.yaml", folder)
    generate_model_archive(
        ModelArchiverConfig(
            model_name=NAME,
            version="1.0",
            handler=str(HERE / "servers" / "echo_handler.py"),
            config_file=str(folder / "model-config.yaml"),
            export_path=str(folder),
        )
    )
    return replace(fastmar_serve("TorchServe, echo handler", folder), is_checked=False)


def flask(learner: Path, first: bytes, *, pictures: bool = False) -> Contender:
    """Flask on waitress, with `learn.predict`.

    Args:
        learner: the pickle.
        first: body of a request, for the readiness probe.
        pictures: whether requests are pictures instead of JSON.
    """

    def start() -> AbstractContextManager[RunningServer]:
        port = free_port()
        url = f"{_HOST}:{port}{_PATH}"
        module = [sys.executable, "-m", "benchmarks.servers.flask_app"]
        command = [*module, learner, "--port", str(port), *(["--pictures"] if pictures else [])]
        return run_server(command, url, lambda _: _answers(url, first), _IMPORT_BENCHMARKS)

    return Contender("Flask + learn.predict", start, is_once=True)


def torchserve(learner: Path, folder: Path) -> Contender:
    """TorchServe with its default configuration, except addresses and keys, and a handler with `learn.predict`."""
    folder.mkdir()
    generate_model_archive(
        ModelArchiverConfig(
            model_name=NAME,
            version="1.0",
            serialized_file=str(learner),
            handler=str(HERE / "servers" / "learn_predict_handler.py"),
            export_path=str(folder),
        )
    )

    def start() -> AbstractContextManager[RunningServer]:
        inference, management = free_port(), free_port()
        config = folder / "config.properties"
        config.write_text(
            f"inference_address={_HOST}:{inference}\n"
            f"management_address={_HOST}:{management}\n"
            f"metrics_address={_HOST}:{free_port()}\n"
            f"grpc_inference_port={free_port()}\n"
            f"grpc_management_port={free_port()}\n",
            "utf-8",
        )
        command = [Path(sys.executable).with_name("torchserve"), "--foreground", "--ncs", "--disable-token-auth"]
        command += ["--model-store", folder, "--models", f"{NAME}={NAME}.mar", "--ts-config", config]
        return run_server(
            command,
            f"{_HOST}:{inference}{_PATH}",
            lambda _: _all_workers_ready(f"{_HOST}:{management}/models/{NAME}"),
            {"JAVA_HOME": str(find_java().path.resolve().parents[1])},
        )

    return Contender("TorchServe + learn.predict", start, is_once=True)


def fastmar(learner: Path, folder: Path) -> Contender:
    """`fastmar export`, then `fastmar serve` with its defaults."""
    export(learner, folder, NAME)
    return fastmar_serve(FASTMAR, folder)


def export(learner: Path, folder: Path, name: str, *options: str) -> None:
    """`fastmar export`."""
    arguments = ["export", str(learner), "--name", name, "--output", str(folder), *options]
    subprocess.run([*_COMMAND, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def fastmar_serve(name: str, folder: Path, *options: str) -> Contender:
    """`fastmar serve` on the archives in `folder`."""

    def start() -> AbstractContextManager[RunningServer]:
        port = free_port()
        command = [*_COMMAND, "serve", "--model-store", folder, "--port", str(port), "--metrics-port", "0", *options]
        return run_server(command, f"{_HOST}:{port}{_PATH}", lambda printed: "\nReady" in printed)

    return Contender(name, start)


def _peer(command: Sequence[str], first: bytes, **env: str) -> AbstractContextManager[RunningServer]:
    """Run a program of the peers' environment on a free port; `first` is the body of the readiness probe."""
    port = free_port()
    url = f"{_HOST}:{port}{_PATH}"
    program = [PEERS / command[0], *command[1:], "--port", str(port)]
    return run_server(program, url, lambda _: _answers(url, first), {**_IMPORT_BENCHMARKS, **env})


def _answers(url: str, body: bytes) -> bool:
    content_type = "image/jpeg" if body.startswith(b"\xff\xd8") else "application/json"
    request = urllib.request.Request(url, body, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=10):
            return True
    except urllib.error.HTTPError:
        raise
    except OSError:
        return False  # not listening yet


def _all_workers_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            models = json.load(response)
    except OSError:
        return False  # not listening yet, or not registered
    workers = [worker for model in models for worker in model["workers"]]
    return bool(workers) and all(worker["status"] == "READY" for worker in workers)
