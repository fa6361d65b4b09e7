"""A server for tests, demos and benchmarks: `fastmar serve` as a process of its own, ready inside the `with` block."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

STOPS_WITHIN = 60.0


@dataclass
class RunningServer:
    """A `fastmar serve` that has said Ready.

    Attributes:
        process: the launcher.
        lines: what it printed on standard output up to the line that begins with Ready.
        stderr: file that it prints to on standard error.
    """

    process: subprocess.Popen[str]
    lines: list[str]
    stderr: Path
    url: str = field(init=False)
    management: str = field(init=False)
    metrics: str = field(init=False)
    key_file: Path | None = field(init=False)

    def __post_init__(self) -> None:
        words = {line.split()[0]: line.split()[1] for line in self.lines if len(line.split()) > 1}
        self.url = words["Inference"]
        self.management = words["Management"]
        self.metrics = words["Metrics"]
        self.key_file = Path(words["Keys"]) if "Keys" in words else None

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait, and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOPS_WITHIN)


@contextmanager
def running_server(
    model_store: Path, *arguments: str, port: int = 0, command: Sequence[str] | None = None
) -> Iterator[RunningServer]:
    """Run `fastmar serve --model-store MODEL_STORE ARGUMENTS` on a free port, and stop it in the end.

    Raises RuntimeError with what it printed on standard error when it ends before it is ready.
    """
    base = list(command) if command else [sys.executable, "-m", "fastmar_cli.main"]
    words = [*base, "serve", "--model-store", str(model_store), "--port", str(port), "--metrics-port", "0", *arguments]
    with tempfile.TemporaryDirectory(prefix="fastmar-test-") as folder:
        stderr = Path(folder) / "stderr"
        with stderr.open("w") as errors:
            process = subprocess.Popen(  # noqa: S603 - fastmar itself
                words, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        output = cast(IO[str], process.stdout)
        try:
            lines = []
            for line in output:
                lines.append(line.rstrip())
                if line.startswith("Ready"):
                    break
            else:
                raise RuntimeError(f"fastmar serve ended with status {process.wait()}:\n{stderr.read_text()}")
            threading.Thread(target=output.read, daemon=True).start()  # nothing it prints later may block it
            server = RunningServer(process, lines, stderr)
            yield server
            server.stop()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            output.close()
