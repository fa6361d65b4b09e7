"""The output of TorchServe and its workers: read, kept for error messages, and shown if relevant."""

from __future__ import annotations

import itertools
import json
import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

from fastmar_runtime.logs import RequestIds, about, log_access

MAX_LINES = 400  # kept of each worker; the chained traceback of a failed load has up to 150
WORKER_THREAD = re.compile(r"W-(?P<id>\d+)-(?P<label>(?P<model>.+)_[^_]*)-std(?:out|err)")
LOAD_FAILED = re.compile(r"Load model failed: (?P<model>.+?), error: (?P<error>.*)")
EXCEPTION = re.compile(r"(?P<type>[A-Za-z_][\w.]*)(?P<message>: .*)?")
ACCESS_LOGGER = "FRONT_ACCESS"  # of the front
ACCESS = re.compile(r"(?P<method>\S+) (?P<path>\S+) (?P<status>\d+) (?P<milliseconds>[\d.]+) (?P<id>\S+)")
WORKER_DIED = "Backend worker process died."
FASTMAR_PREFIX = "fastmar: "
FATAL = "Fatal Python error: "
FAILED_IN_INITIALIZE = "Failed to load model {model}, exception "  # then the rest of the message, then a traceback
NO_INFORMATION = ("", "Unknown exception")  # TorchServe's lines; the second when a worker dies, see `deaths`
# Output of every start of a worker or of Java, without information.
IGNORED = re.compile(
    r"s_name_part0=|Listening on |Successfully loaded .*metrics|\[PID\]|Torch worker started|Python runtime: "
    r"|Connection accepted: |model_name: .*, batchSize: |(nvidia|xpu)-smi not available|Model server started\."
    r"|WARNING: sun\.reflect\.Reflection|Picked up JAVA_TOOL_OPTIONS|$"
)


class ServerLog:
    """Reads the server's output in a thread, so that the pipe never fills.

    Attributes:
        failures: TorchServe's error for each model that did not load.
        broken: versions whose workers failed, as NAME_VERSION.
    """

    def __init__(self, lines: Iterable[str], show: Callable[[str], None], failures_file: Path | None = None) -> None:
        """Start reading.

        Args:
            lines: the output.
            show: a function that is called with each line for the user.
            failures_file: rewritten at each failure of a worker, {ID: {"model", "reason", "fix"}}, for `fastmar
                deploy`, since the management API does not report why a worker died.
        """
        self.failures: dict[str, str] = {}
        self.broken: set[str] = set()
        self._file = failures_file
        if failures_file:
            failures_file.unlink(missing_ok=True)  # of an earlier server, whose workers had the same ids
        self._reasons: dict[str, dict[str, str | None]] = {}
        self._workers: defaultdict[tuple[str, str], deque[str]] = defaultdict(lambda: deque(maxlen=MAX_LINES))
        self._server: deque[str] = deque(maxlen=MAX_LINES)
        self._show = show
        self._loaded = False
        self._thread = threading.Thread(target=self._read, args=(lines,), name="torchserve-output", daemon=True)
        self._thread.start()

    def models_are_loaded(self) -> None:
        """Show the output of workers from now on. While they load, it is only kept for the error message."""
        self._loaded = True

    def reason(self, model: str) -> tuple[str, str | None]:
        """The line with the reason why a model did not load, and the fix that its handler printed."""
        lines = [line for key in list(self._workers) if key[0] == model for line in list(self._workers[key])]
        text, fix = reason(model, lines)
        return text or self.failures.get(model, "it printed no reason"), fix

    def last_server_line(self) -> str | None:
        """The last line of Java's output."""
        return self._server[-1] if self._server else None

    def wait_for_end(self, timeout: float) -> None:
        """Wait until the output is closed."""
        self._thread.join(timeout)

    def _read(self, lines: Iterable[str]) -> None:
        for line in lines:
            origin, *fields = line.rstrip("\n").split("\t", 3)
            if origin == "worker" and len(fields) == 3:
                self._worker_line(fields[0], fields[2])
            elif origin == "server" and len(fields) == 3 and fields[0] == ACCESS_LOGGER:
                _access_line(fields[2])
            elif origin == "server" and len(fields) == 3:
                self._server_line(fields[1], fields[2].rstrip())
            elif not IGNORED.match(line):
                self._server.append(line.strip())
                self._show(line.rstrip())

    def _worker_line(self, thread: str, text: str) -> None:
        match = WORKER_THREAD.fullmatch(thread)
        model, worker = (match["model"], match["id"]) if match else (thread, thread)
        if IGNORED.match(text):
            return
        lines = self._workers[model, worker]
        # TorchServe may kill the worker before it prints WORKER_DIED. The line after this message can be the fix.
        announced = bool(lines) and lines[-1].startswith(FAILED_IN_INITIALIZE.format(model=model))
        lines.append(text)
        if text == WORKER_DIED:
            self.failures.setdefault(model, text)
        if announced or text == WORKER_DIED or text.startswith((FASTMAR_PREFIX, FATAL)):
            self.broken.add(match["label"] if match else thread)
            self._record_failure(model, worker)
        if self._loaded and text.strip():
            self._show(f"{model}: {text}")

    def _record_failure(self, model: str, worker: str) -> None:
        """Write the reason of a worker's failure to the file."""
        text, fix = reason(model, list(self._workers[model, worker]))
        failure = {"model": model, "reason": text, "fix": fix}
        if self._file is None or self._reasons.get(worker) == failure:
            return
        self._reasons[worker] = failure
        draft = self._file.with_suffix(".new")
        with suppress(OSError):  # only messages depend on it
            draft.write_text(json.dumps(self._reasons), encoding="utf-8")
            draft.replace(self._file)

    def _server_line(self, level: str, text: str) -> None:
        self._server.append(text)
        if failed := LOAD_FAILED.match(text):
            self.failures.setdefault(failed["model"], failed["error"])
        if text.strip() not in NO_INFORMATION and (self._loaded or level != "WARN"):
            self._show(f"torchserve: {text}")


def _access_line(text: str) -> None:
    """Log a request to the front."""
    if match := ACCESS.fullmatch(text.strip()):
        with about(RequestIds(match["id"])):
            log_access(match["method"], unquote(match["path"]), int(match["status"]), float(match["milliseconds"]))


def reason(model: str, lines: list[str]) -> tuple[str | None, str | None]:
    """The line of a worker's output with the cause of its death, and the fix of the exception.

    In order of preference: the line of fastmar's handler; the worker's message about an exception in `initialize` of
    another handler; Python's message about a crash in native code; the first exception in a traceback. Later
    exceptions are consequences of the first: TorchServe tries another way to load the handler, then ends the worker.
    """
    for line in lines:
        if line.startswith(FASTMAR_PREFIX):
            own, _, own_fix = line.removeprefix(FASTMAR_PREFIX).partition(" Fix: ")
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
