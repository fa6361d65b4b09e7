"""Tables of several sizes through `fastmar score`: rows a second, and the memory of both sides.

python -m benchmarks.score [--rows 10000 100000 300000] [--json FILE]

The rows are real flights. Each table is scored by a process of its own, against one `fastmar serve` that stays, and
then with the archive in that process. Constant memory means that the peaks do not follow the number of rows.
"""

from __future__ import annotations

import argparse
import json
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

from benchmarks import machine
from fastmar_cli.main import main as fastmar
from fastmar_serving.torchserve.testing import running_server

LOOK = 0.05  # seconds between two looks at a process
MEGA = 1e6

out = Console(width=None if sys.stdout.isatty() else 140)


@dataclass(frozen=True, slots=True)
class Run:
    """One table through one target; memory is the peak of resident bytes, in MB.

    Attributes:
        target: "server" or "archive".
        rows: of the table.
        seconds: from the process's start to its end.
        rate: rows a second, as it says itself: without its start.
        client: memory of `fastmar score`.
        java, worker: of the server's processes; None where there is none.
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
    """Looks at processes until told to stop, and keeps the most memory that each had."""

    def __init__(self, processes: dict[str, psutil.Process]) -> None:
        super().__init__(daemon=True)
        self.found = dict.fromkeys(processes, 0.0)
        self._processes = processes
        self._ended = threading.Event()

    def run(self) -> None:
        """Look."""
        while not self._ended.wait(LOOK):
            for name, process in self._processes.items():
                try:
                    self.found[name] = max(self.found[name], process.memory_info().rss / MEGA)
                except psutil.NoSuchProcess:  # it just ended
                    continue

    def stop(self) -> dict[str, float]:
        """Stop looking; the value is what was found."""
        self._ended.set()
        self.join()
        return self.found


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    args = _arguments(argv)
    about = machine.describe()
    with tempfile.TemporaryDirectory(prefix="fastmar-bench-") as name:
        folder = Path(name)
        command = ["export", str(flights.served().learner), "--name", flights.NAME, "--output", str(folder / "store")]
        if fastmar(command):
            return 1
        tables = [_table(folder, rows) for rows in args.rows]
        runs = _measure(folder, tables, args.rows)
    out.print(_shown(runs))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        result = {"machine": about, "runs": [asdict(run) for run in runs]}
        args.json.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
        out.print(f"Written to {args.json}")
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
    began = time.perf_counter()
    rate, peaks = _score(target, table, answers, processes)
    seconds = time.perf_counter() - began
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
    """The rate that `fastmar score` says, and the peaks of all processes' memory."""
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
    """Java, and the one worker below it."""
    children = psutil.Process(launcher).children(recursive=True)
    java = next(process for process in children if "java" in process.name())
    worker = next(process for process in children if "model_service_worker.py" in " ".join(process.cmdline()))
    return {"java": java, "worker": worker}


def _table(folder: Path, rows: int) -> Path:
    path = folder / f"flights-{rows}.csv"
    frame = flights.table().drop(columns=flights.TARGET)
    if len(frame) < rows:
        raise SystemExit(f"There are {len(frame):,} flights: ask for fewer rows.")
    frame[:rows].to_csv(path, index_label="id")
    return path


def _shown(runs: list[Run]) -> Table:
    table = Table(title="fastmar score; memory in MB at its peak")
    for name in ("", "rows", "table", "answers", "rows/s", "fastmar score", "Java", "worker"):
        table.add_column(name, justify="right" if name else "left")
    for run in runs:
        memory = [f"{peak:,.0f}" if peak else "" for peak in (run.client, run.java, run.worker)]
        sizes = f"{run.table:.1f}", f"{run.answers:.1f}"
        table.add_row(run.target, f"{run.rows:,}", *sizes, f"{run.rate:,.0f}", *memory)
    return table


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.score", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 300_000], help="sizes of the tables")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there")
    args: Any = parser.parse_args(argv)
    return args


if __name__ == "__main__":
    sys.exit(main())
