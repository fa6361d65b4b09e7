"""Measures `fastmar score` with tables of several sizes: rows per second, and memory of client and server.

python -m benchmarks.score [--rows 10000 100000 300000] [--json FILE]

The rows are real flights. Each table is scored by a new process, first with one `fastmar serve`, then with the archive
in the process. Memory is constant if the peaks do not grow with the number of rows.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from examples import flights
from rich.console import Console
from rich.table import Table

from benchmarks import cli, machine
from fastmar_cli.main import main as fastmar
from fastmar_serving.testing import running_server

POLL_INTERVAL = 0.05  # seconds
MEGA = 1e6

out = Console(width=None if sys.stdout.isatty() else 140)


@dataclass(frozen=True, slots=True)
class Run:
    """The result for one table and target; memory is the peak of resident memory, in MB.

    Attributes:
        target: "server" or "archive".
        rows: number of rows of the table.
        seconds: duration of the process.
        rate: rows per second as printed by the command, without its start-up.
        client: memory of `fastmar score`.
        java, worker: memory of the server's processes; None without a server.
        table, answers: sizes of the files, in MB.
    """

    target: str
    rows: int
    seconds: float
    rate: float
    client: float
    java: float | None
    worker: float | None
    table: float
    answers: float


class Peaks(threading.Thread):
    """Polls processes, and records the peak memory of each."""

    def __init__(self, processes: dict[str, psutil.Process]) -> None:
        super().__init__(daemon=True)
        self.peaks = dict.fromkeys(processes, 0.0)
        self._processes = processes
        self._ended = threading.Event()

    def run(self) -> None:
        """Poll until `stop`."""
        while not self._ended.wait(POLL_INTERVAL):
            for name, process in self._processes.items():
                try:
                    self.peaks[name] = max(self.peaks[name], process.memory_info().rss / MEGA)
                except psutil.NoSuchProcess:  # it just ended
                    continue

    def stop(self) -> dict[str, float]:
        """Stop polling, and return the peaks."""
        self._ended.set()
        self.join()
        return self.peaks


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    args = _arguments(argv)
    about = machine.describe()
    with tempfile.TemporaryDirectory(prefix="fastmar-bench-") as name:
        folder = Path(name)
        command = [
            "export",
            str(flights.benchmark_model().learner),
            "--name",
            flights.NAME,
            "--output",
            str(folder / "store"),
        ]
        if fastmar(command):
            return 1
        tables = [_table(folder, rows) for rows in args.rows]
        runs = _measure(folder, tables, args.rows)
    out.print(_results_table(runs))
    cli.write_results(args.json, {"machine": about, "runs": [asdict(run) for run in runs]})
    return 0


def _measure(folder: Path, tables: list[Path], sizes: list[int]) -> list[Run]:
    runs = []
    with running_server(folder / "store") as server:
        processes = _server_processes(server.process.pid)
        url = f"{server.url}/predictions/{flights.NAME}"
        _score(url, tables[0], folder / "warm-up.csv", {})
        for table, rows in zip(tables, sizes, strict=True):
            runs.append(_run("server", url, table, rows, folder / "served.csv", processes))
    archive = str(folder / "store" / f"{flights.NAME}.mar")
    for table, rows in zip(tables, sizes, strict=True):
        runs.append(_run("archive", archive, table, rows, folder / "answers.csv", {}))
    if (folder / "served.csv").read_bytes() != (folder / "answers.csv").read_bytes():
        raise SystemExit("The server's answers and the archive's differ.")
    return runs


def _run(kind: str, target: str, table: Path, rows: int, answers: Path, processes: dict[str, psutil.Process]) -> Run:
    out.print(f"{kind}: {rows:,} rows ...")
    started_at = time.perf_counter()
    rate, peaks = _score(target, table, answers, processes)
    seconds = time.perf_counter() - started_at
    with answers.open("rb") as file:
        if sum(1 for _ in file) != rows + 1:
            raise SystemExit(f"{answers} does not have a line for each of {rows:,} rows.")
    return Run(
        kind,
        rows,
        seconds,
        rate,
        peaks["client"],
        peaks.get("java"),
        peaks.get("worker"),
        table.stat().st_size / MEGA,
        answers.stat().st_size / MEGA,
    )


def _score(
    target: str, table: Path, answers: Path, processes: dict[str, psutil.Process]
) -> tuple[float, dict[str, float]]:
    """The rate that `fastmar score` prints, and the peak memory of all processes."""
    command = [sys.executable, "-m", "fastmar_cli.main", "score", target, str(table), "-o", str(answers), "--force"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peaks = Peaks({"client": psutil.Process(child.pid), **processes})
    peaks.start()
    printed, _ = child.communicate()
    found = peaks.stop()
    if child.returncode:
        raise SystemExit(f"fastmar score ended with status {child.returncode}.")
    return float(printed.rpartition(";")[2].split()[0].replace(",", "")), found


def _server_processes(launcher: int) -> dict[str, psutil.Process]:
    """The Java process and its worker."""
    children = psutil.Process(launcher).children(recursive=True)
    java = next(process for process in children if "java" in process.name())
    worker = next(process for process in children if "model_service_worker.py" in " ".join(process.cmdline()))
    return {"java": java, "worker": worker}


def _table(folder: Path, rows: int) -> Path:
    path = folder / f"flights-{rows}.csv"
    frame = flights.table().drop(columns=flights.TARGET)
    if len(frame) < rows:
        raise SystemExit(f"There are only {len(frame):,} flights: use fewer --rows.")
    frame[:rows].to_csv(path, index_label="id")
    return path


def _results_table(runs: list[Run]) -> Table:
    table = Table(title="fastmar score; peak memory in MB")
    for name in ("", "rows", "table", "answers", "rows/s", "fastmar score", "Java", "worker"):
        table.add_column(name, justify="right" if name else "left")
    for run in runs:
        memory = [f"{peak:,.0f}" if peak else "" for peak in (run.client, run.java, run.worker)]
        sizes = f"{run.table:.1f}", f"{run.answers:.1f}"
        table.add_row(run.target, f"{run.rows:,}", *sizes, f"{run.rate:,.0f}", *memory)
    return table


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = cli.parser_of("score", __doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 300_000], help="sizes of the tables")
    args: Any = parser.parse_args(argv)
    return args


if __name__ == "__main__":
    sys.exit(main())
