"""The engines that tests run on: how to start each, and what it can't do.

A test with the fixture `engine` or `server` runs on each engine. `@needs("...")` names a capability that the test
needs; the test is skipped on engines without it. `python -m tests.engines` writes the table of capabilities into
docs/engines.md.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from fastmar_serving.testing import RunningServer, running_server
from tests.ray.cluster import serving_store

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "engines.md"
START, END = "<!-- capabilities: made by `python -m tests.engines` -->", "<!-- end of capabilities -->"
LONG = bool(os.environ.get("FASTMAR_LONG_TESTS"))  # repeats and durations as in the documents
WORKERS = ("model_service_worker", "asgi_worker", "ServeReplica")  # in the command lines of worker processes

CAPABILITIES = {
    "launcher": "`fastmar serve` with its limits, timeouts, drain, metrics and management API",
    "own_handlers": "archives of other tools, with handlers of their own",
    "config_file": "`--config FILE`",
    "management_port": "`--management PORT`",
    "event_stream": "generated texts as server-sent events",
    "metrics_path": "status 404 for other paths than `/metrics` on the metrics port",
}


@dataclass(frozen=True)
class Engine:
    """An engine, as tests start it.

    Attributes:
        name: its name in ids of tests and in the table.
        mark: marker of its tests.
        options: options of `fastmar serve`.
        cannot: reasons by capability that it lacks.
        package: Python package that it needs.
        start: starts a server with a model store and options of `fastmar serve`.
    """

    name: str
    mark: str
    options: tuple[str, ...] = ()
    cannot: Mapping[str, str] = field(default_factory=dict)
    package: str = "fastmar_serving"
    start: Callable[..., AbstractContextManager[RunningServer]] = running_server

    def serve(self, store: Path, *arguments: str, **how: Any) -> AbstractContextManager[RunningServer]:
        """A server of this engine, ready inside the `with` block; arguments as for `running_server`."""
        return self.start(store, *self.options, *arguments, **how)

    @property
    def is_installed(self) -> bool:
        return find_spec(self.package) is not None


_ASGI = {
    "own_handlers": "it loads fastmar's archives only",
    "config_file": "the file has properties of TorchServe",
    "management_port": "its management API is on a Unix socket only",
    "metrics_path": "metrics are on every path",
}
TORCHSERVE = Engine("torchserve", "torchserve", cannot={"event_stream": "an answer is sent as a whole"}, package="ts")
GRANIAN = Engine("granian", "asgi", ("--engine", "asgi", "--server", "granian"), _ASGI, "granian")
UVICORN = Engine("uvicorn", "asgi", ("--engine", "asgi", "--server", "uvicorn"), _ASGI, "uvicorn")
_RAY = {
    **_ASGI,
    "event_stream": "an answer is sent as a whole",
    "launcher": "`serve` of Ray starts it and has options of its own; see [Ray](deployment/ray.md)",
    "management_port": "Ray's dashboard manages it",
    "metrics_path": "Ray has metrics of its own",
}
RAY = Engine("ray", "ray", (), _RAY, "ray", serving_store)
ENGINES = (TORCHSERVE, UVICORN, GRANIAN, RAY)

FAST = UVICORN
"""The engine of tests that need a server of any kind: it starts in a second."""


def needs(capability: str) -> pytest.MarkDecorator:
    """Marks a test that only engines with a capability pass."""
    assert capability in CAPABILITIES, capability
    return pytest.mark.needs(capability)


def parameters() -> list[Any]:
    """The installed engines, as parameters of a fixture."""
    return [
        pytest.param(engine, id=engine.name, marks=getattr(pytest.mark, engine.mark))
        for engine in ENGINES
        if engine.is_installed
    ]


def skip_unless_able(item: pytest.Item) -> None:
    """Skip a test on an engine that lacks a capability which the test needs."""
    engine = getattr(item, "callspec", None) and item.callspec.params.get("engine")  # type: ignore[attr-defined]
    for mark in item.iter_markers("needs") if engine else ():
        if reason := engine.cannot.get(mark.args[0]):
            item.add_marker(pytest.mark.skip(reason=f"{engine.name}: {reason}"))


def workers(server: RunningServer) -> list[psutil.Process]:
    """The worker processes of a server, the oldest first."""
    found = []
    for child in psutil.Process(server.process.pid).children(recursive=True):
        with suppress(psutil.Error):  # it has just ended
            if child.status() != psutil.STATUS_ZOMBIE and any(name in " ".join(child.cmdline()) for name in WORKERS):
                found.append((child.create_time(), child))
    return [child for _, child in sorted(found, key=lambda pair: pair[0])]


def marked() -> dict[str, int]:
    """The number of tests that need each capability."""
    source = "".join(path.read_text("utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py")))
    used = re.findall(r"^(?: *@|pytestmark = .*)needs\(\"(\w+)\"\)\]?$", source, re.MULTILINE)
    return {name: used.count(name) for name in CAPABILITIES}


def with_table(text: str) -> str:
    """The text of the page with the current table."""
    rows = [["", *(f"`{engine.name}`" for engine in ENGINES)], ["---"] * (len(ENGINES) + 1)]
    for name, title in CAPABILITIES.items():
        reasons = (engine.cannot.get(name) for engine in ENGINES)
        rows.append([title, *(f"no: {reason}" if reason else "yes" for reason in reasons)])
    table = "".join(f"| {' | '.join(row)} |\n" for row in rows).replace("|  |", "| |")
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{table}\n{END}{after}"
