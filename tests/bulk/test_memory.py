"""The memory of a run does not grow with the table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.archives import tiny_archive
from tests.bulk.test_files import table

SMALL, LARGE = 150_000, 900_000  # rows
MARGIN = 24_000_000  # bytes, a fraction of what the additional rows would take in memory
PROGRAM = """
import sys
from pathlib import Path
from fastmar_cli.main import main

status = main(["score", *sys.argv[1:]])
[line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(int(line.split()[1]) * 1024)
sys.exit(status)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc; the heap is glibc's")
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_peaks_of_small_and_large_tables(tmp_path: Path, kind: str) -> None:
    archive = tiny_archive(tmp_path, "1.0")
    rows = table(20_000).dropna().assign(workclass="Private")
    peaks = []
    for size in (SMALL, LARGE):
        repeated = pd.concat([rows] * (size // len(rows) + 1)).head(size)
        source = tmp_path / f"in.{kind}"
        repeated.to_csv(source, index=False) if kind == "csv" else repeated.to_parquet(source)
        target = tmp_path / f"out-{size}.{kind}"
        command = [sys.executable, "-c", PROGRAM, str(archive), str(source), "-o", str(target)]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        peaks.append(int(printed.split()[-1]))
    assert peaks[1] - peaks[0] < MARGIN
