"""A fake server: registers versions in memory, and answers golden records with the recorded answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.archives import golden

from fastmar_client import ModelNotFound
from fastmar_serving.archives import identify
from fastmar_serving.management import ManagementError
from fastmar_serving.rollout.server import Server

Answer = Callable[[Any], Any]


@dataclass
class LoadedVersion:
    """A version as TorchServe describes it, and the function that answers a record."""

    file: str
    workers: dict[str, tuple[str, int]]
    target_workers: int
    answer: Answer
    queue: int = 0


@dataclass
class FakeTorchServe:
    """The management API and the inference API of one server.

    Attributes:
        store: its model store.
        models: name -> version -> loaded version.
        defaults: name -> default version.
        calls: all changes through the management API, in order.
        fails: by version, how its workers fail to load: "dies" or "hangs".
        answers: by version, the function that answers a record; by default the recorded answers.
        before: is called with the name of each change before it happens; may raise.
    """

    store: Path
    models: dict[str, dict[str, LoadedVersion]] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    fails: dict[str, str] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    before: Callable[[str], None] = lambda _: None
    _pid: int = 4_000_000  # no process has it: above the maximum of Linux

    def serve(self, run_dir: Path | None = None) -> Server:
        return Server("http://127.0.0.1:8080", self, self, self.store, run_dir)  # type: ignore[arg-type]

    def names(self) -> list[str]:
        return list(self.models)

    def describe(self, name: str) -> list[dict[str, Any]]:
        if name not in self.models:
            raise ManagementError(404, f"Model not found: {name}")
        return [self._describe(name, version) for version in self.models[name]]

    def describe_default(self, name: str) -> list[dict[str, Any]]:
        self.describe(name)
        return [self._describe(name, self.defaults[name])]

    def register(self, file: str) -> None:
        self._record(f"register {file}")
        found = identify(self.store / file)
        if found is None:
            raise ManagementError(404, f"Model not found in model store: {file}")
        name, version = found
        if version in self.models.get(name, {}):
            raise ManagementError(409, f"Model version {version} is already registered for model {name}")
        records, answers = golden(self.store / file)
        recorded = {json.dumps(record): answer for record, answer in zip(records, answers, strict=True)}
        answer = self.answers.get(version, lambda record: recorded.get(json.dumps(record), {"prediction": version}))
        status = "UNLOADING" if version in self.fails else "READY"
        self.models.setdefault(name, {})[version] = LoadedVersion(file, {"9000": (status, self._next_pid())}, 1, answer)
        self.defaults.setdefault(name, version)

    def unregister(self, name: str, version: str) -> None:
        self._record(f"unregister {version}")
        if version not in self.models.get(name, {}):
            raise ManagementError(404, "no such version")
        if self.defaults[name] == version and len(self.models[name]) > 1:
            raise ManagementError(403, "Cannot remove default version")
        del self.models[name][version]
        if not self.models[name]:
            del self.models[name], self.defaults[name]

    def set_default(self, name: str, version: str) -> None:
        self._record(f"set_default {version}")
        if version not in self.models.get(name, {}):
            raise ManagementError(404, "no such version")
        self.defaults[name] = version

    def begin_scaling(self, name: str, version: str, workers: int) -> None:
        self._record(f"scale {version} {workers}")
        loaded = self.models[name][version]
        loaded.target_workers = workers
        loaded.workers = {str(9000 + i): ("READY", self._next_pid()) for i in range(workers)}

    def predict_body(self, name: str, body: bytes, content_type: str, version: str) -> list[Any]:
        if version not in self.models.get(name, {}):
            raise ModelNotFound(f"no {version}", fix="-")
        record = json.loads(body) if content_type == "application/json" else body.decode("latin-1")
        answer = self.models[name][version].answer(record)
        if isinstance(answer, Exception):
            raise answer
        return [answer]

    def _describe(self, name: str, version: str) -> dict[str, Any]:
        loaded = self.models[name][version]
        if self.fails.get(version) == "dies":
            loaded.workers = {worker: (status, self._next_pid()) for worker, (status, _) in loaded.workers.items()}
        return {
            "modelName": name,
            "modelVersion": version,
            "modelUrl": loaded.file,
            "minWorkers": loaded.target_workers,
            "batchSize": 16,
            "jobQueueStatus": {"pendingRequests": loaded.queue},
            "workers": [
                {"id": worker, "status": status, "pid": pid, "startTime": "2026-01-31T12:00:00.123Z", "memoryUsage": 0}
                for worker, (status, pid) in loaded.workers.items()
            ],
        }

    def _record(self, call: str) -> None:
        self.before(call)
        self.calls.append(call)

    def _next_pid(self) -> int:
        self._pid += 1
        return self._pid
