"""A server for tests, demos and benchmarks: `fastmar serve` in a separate process, ready inside the `with` block."""

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

STOP_TIMEOUT = 60.0


@dataclass
class RunningServer:
    """A `fastmar serve` process that is ready.

    Attributes:
        process: the launcher.
        lines: its standard output up to the line that begins with Ready.
        stderr: file with its standard error.
    """

    process: subprocess.Popen[str]
    lines: list[str]
    stderr: Path
    url: str = field(init=False)
    management: str = field(init=False)
    metrics: str = field(init=False)
    key_file: Path | None = field(init=False)

    def __post_init__(self) -> None:
        values = {line.split()[0]: line.split()[1] for line in self.lines if len(line.split()) > 1}
        self.url = values["Inference"]
        self.management = values["Management"]
        self.metrics = values["Metrics"]
        self.key_file = Path(values["Keys"]) if "Keys" in values else None

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait, and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(STOP_TIMEOUT)


@contextmanager
def running_server(
    model_store: Path, *arguments: str, port: int = 0, command: Sequence[str] | None = None
) -> Iterator[RunningServer]:
    """Run `fastmar serve --model-store MODEL_STORE ARGUMENTS` on a free port, and stop it at the end.

    Raises:
        RuntimeError: the process ended before it was ready; the message has its standard error.
    """
    base = list(command) if command else [sys.executable, "-m", "fastmar_cli.main"]
    argv = [*base, "serve", "--model-store", str(model_store), "--port", str(port), "--metrics-port", "0", *arguments]
    with tempfile.TemporaryDirectory(prefix="fastmar-test-") as folder:
        stderr = Path(folder) / "stderr"
        with stderr.open("w") as errors:
            process = subprocess.Popen(  # noqa: S603 - fastmar itself
                argv, stdout=subprocess.PIPE, stderr=errors, text=True
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
            threading.Thread(target=output.read, daemon=True).start()  # a full pipe would block the process
            server = RunningServer(process, lines, stderr)
            yield server
            server.stop()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            output.close()
