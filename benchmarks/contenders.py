"""The servers that are compared: each serves the same learner, of records or of pictures."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from examples.flights import NAME
from model_archiver.model_archiver_config import ModelArchiverConfig
from model_archiver.model_packaging import generate_model_archive

from benchmarks.servers.process import RunningServer, free_port, run_server
from fastmar_serving.torchserve.java import find_java

HERE = Path(__file__).parent
FASTMAR = "fastmar export + fastmar serve"
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
    """

    name: str
    start: Callable[[], AbstractContextManager[RunningServer]]


def constant() -> Contender:
    """A server with a constant response: measures the maximum of the load generator."""

    def start() -> AbstractContextManager[RunningServer]:
        port = free_port()
        url = f"{_HOST}:{port}{_PATH}"
        command = [sys.executable, "-m", "benchmarks.servers.constant", "--port", str(port)]
        return run_server(command, url, lambda _: _answers(url, b"{}"), _IMPORT_BENCHMARKS)

    return Contender("a constant (the load generator's ceiling)", start)


def flask(learner: Path, first: bytes, server: str, *, pictures: bool = False) -> Contender:
    """Flask with `learn.predict`, on `server`: werkzeug (Flask's own, threaded) or waitress.

    Args:
        learner: the pickle.
        first: body of a request, for the readiness probe.
        server: name of the WSGI server.
        pictures: whether requests are pictures instead of JSON.
    """

    def start() -> AbstractContextManager[RunningServer]:
        port = free_port()
        url = f"{_HOST}:{port}{_PATH}"
        module = [sys.executable, "-m", "benchmarks.servers.flask_app"]
        command = [*module, learner, "--port", str(port), "--server", server, *(["--pictures"] if pictures else [])]
        return run_server(command, url, lambda _: _answers(url, first), _IMPORT_BENCHMARKS)

    return Contender(f"Flask on {server} + learn.predict", start)


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

    return Contender("TorchServe as it comes + learn.predict", start)


def fastmar(learner: Path, folder: Path) -> Contender:
    """`fastmar export`, then `fastmar serve` with its defaults."""
    arguments = ["export", str(learner), "--name", NAME, "--output", str(folder)]
    subprocess.run([*_COMMAND, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return fastmar_serve(FASTMAR, folder)


def fastmar_serve(name: str, folder: Path, *options: str) -> Contender:
    """`fastmar serve` on the archives in `folder`."""

    def start() -> AbstractContextManager[RunningServer]:
        port = free_port()
        command = [*_COMMAND, "serve", "--model-store", folder, "--port", str(port), "--metrics-port", "0", *options]
        return run_server(command, f"{_HOST}:{port}{_PATH}", lambda printed: "\nReady" in printed)

    return Contender(name, start)


def _answers(url: str, body: bytes) -> bool:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
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
