"""What TorchServe and its workers print: read line by line, kept for a while, passed on where a person wants it."""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

KEPT = 400  # lines of each worker; a chained traceback of a load that failed has up to 150
FAILURES = "failures.json"  # in the run directory: what workers said before they died, by TorchServe's id of each
WORKER_THREAD = re.compile(r"W-(?P<id>\d+)-(?P<model>.+)_[^_]*-std(?:out|err)")
LOAD_FAILED = re.compile(r"Load model failed: (?P<model>.+?), error: (?P<error>.*)")
EXCEPTION = re.compile(r"(?P<type>[A-Za-z_][\w.]*)(?P<message>: .*)?")
WORKER_GAVE_UP = "Backend worker process died."
OWN_WORDS = "fastmar: "
FATAL = "Fatal Python error: "
FAILED_IN_INITIALIZE = "Failed to load model {model}, exception "  # then the rest of the message, then a traceback
# What every worker prints as it starts, and what Java prints of itself. Nobody needs to read it.
CHATTER = re.compile(
    r"s_name_part0=|Listening on |Successfully loaded .*metrics|\[PID\]|Torch worker started|Python runtime: "
    r"|Connection accepted: |model_name: .*, batchSize: |(nvidia|xpu)-smi not available|Model server started\."
    r"|WARNING: sun\.reflect\.Reflection|Picked up JAVA_TOOL_OPTIONS|$"
)


class ServerLog:
    """Reads the server's output in a thread, so that the pipe never fills.

    Attributes:
        failures: error that TorchServe reports for each model that did not load.
    """

    def __init__(self, lines: Iterable[str], show: Callable[[str], None], failures_file: Path | None = None) -> None:
        """Nothing is lost: reading begins at once.

        Args:
            lines: the output.
            show: is given what a person should read.
            failures_file: written anew at each failure of a worker, {ID: {"model", "reason", "fix"}}, for whoever
                deploys: the management API does not say why a worker died.
        """
        self.failures: dict[str, str] = {}
        self._file = failures_file
        if failures_file:
            failures_file.unlink(missing_ok=True)  # an earlier server's, which gave workers the same ids
        self._told: dict[str, dict[str, str | None]] = {}
        self._workers: defaultdict[tuple[str, str], deque[str]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._server: deque[str] = deque(maxlen=KEPT)
        self._show = show
        self._loaded = False
        self._thread = threading.Thread(target=self._read, args=(lines,), name="torchserve-output", daemon=True)
        self._thread.start()

    def models_are_loaded(self) -> None:
        """From now on what workers print is shown as it comes; while they load it is kept, for the reason's sake."""
        self._loaded = True

    def reason(self, model: str) -> tuple[str, str | None]:
        """The line that says why a model did not load, and what the model itself says to do about it."""
        lines = [line for key in list(self._workers) if key[0] == model for line in list(self._workers[key])]
        text, fix = reason(model, lines)
        return text or self.failures.get(model, "it printed no reason"), fix

    def last_server_line(self) -> str | None:
        """The last thing that Java said."""
        return self._server[-1] if self._server else None

    def wait_for_end(self, timeout: float) -> None:
        """Wait until the output is closed."""
        self._thread.join(timeout)

    def _read(self, lines: Iterable[str]) -> None:
        for line in lines:
            origin, *fields = line.rstrip("\n").split("\t", 3)
            if origin == "worker" and len(fields) == 3:
                self._worker_line(fields[0], fields[2])
            elif origin == "server" and len(fields) == 3:
                self._server_line(fields[1], fields[2].rstrip())
            elif not CHATTER.match(line):
                self._server.append(line.strip())
                self._show(line.rstrip())

    def _worker_line(self, thread: str, text: str) -> None:
        match = WORKER_THREAD.fullmatch(thread)
        model, worker = (match["model"], match["id"]) if match else (thread, thread)
        if CHATTER.match(text):
            return
        lines = self._workers[model, worker]
        # TorchServe may kill the worker before it says that it gave up. The line after the announcement can be the fix.
        announced = bool(lines) and lines[-1].startswith(FAILED_IN_INITIALIZE.format(model=model))
        lines.append(text)
        if text == WORKER_GAVE_UP:
            self.failures.setdefault(model, text)
        if announced or text == WORKER_GAVE_UP or text.startswith((OWN_WORDS, FATAL)):
            self._tell(model, worker)
        if self._loaded and text.strip():
            self._show(f"{model}: {text}")

    def _tell(self, model: str, worker: str) -> None:
        """Write down why a worker failed."""
        text, fix = reason(model, list(self._workers[model, worker]))
        told = {"model": model, "reason": text, "fix": fix}
        if self._file is None or self._told.get(worker) == told:
            return
        self._told[worker] = told
        draft = self._file.with_suffix(".new")
        with suppress(OSError):  # it helps a person, and nothing depends on it
            draft.write_text(json.dumps(self._told), encoding="utf-8")
            draft.replace(self._file)

    def _server_line(self, level: str, text: str) -> None:
        self._server.append(text)
        if failed := LOAD_FAILED.match(text):
            self.failures.setdefault(failed["model"], failed["error"])
        if text.strip() and (self._loaded or level != "WARN"):
            self._show(f"torchserve: {text}")


def reason(model: str, lines: list[str]) -> tuple[str | None, str | None]:
    """The line of a worker's last words that names the cause, and the fix that the exception carried.

    fastmar's handler says it in a line of its own. An exception out of another handler's `initialize` is announced by
    the worker, and Python names a crash in native code. Otherwise it is the first exception that was raised: what
    follows it is TorchServe's attempt at a handler of its own, then its own giving up.
    """
    for line in lines:
        if line.startswith(OWN_WORDS):
            own, _, own_fix = line.removeprefix(OWN_WORDS).partition(" Fix: ")
            return own, own_fix or None
    announced = FAILED_IN_INITIALIZE.format(model=model)
    for line, following in itertools.pairwise([*lines, ""]):
        if line.startswith(announced):
            fix = following.strip().removeprefix("Fix: ") if following.strip().startswith("Fix: ") else None
            return line.removeprefix(announced), fix
    in_traceback = False
    for line in lines:
        if line.startswith("Traceback "):
            in_traceback = True
        elif line.startswith(FATAL) or (in_traceback and EXCEPTION.fullmatch(line)):
            return line, None
    return (lines[-1] if lines else None), None
