"""Measures `fastmar drift` for a model of 200 fields and profile files of 1,000,000 records: time, size of the report.

    python -m benchmarks.drift_report

Four workers write a line for 1,000 records. The report is opened in Chromium, three times; the median of the time until
its load event is printed. The data are those of `benchmarks.drift`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from benchmarks.drift import LABELS, REFERENCE, Data
from fastmar_contract.members import PROFILE, SPEC
from fastmar_runtime import __version__
from fastmar_runtime.profiles.profile import Profile
from fastmar_runtime.profiles.variables import CATEGORY
from fastmar_runtime.spec import Field, Spec, Tensor, to_dict

ROWS, ROWS_OF_LINE, WORKERS = 1_000_000, 1_000, 4


def main() -> None:
    """Write the files, run the command, open the report."""
    data = Data("wide", 0, REFERENCE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_archive(folder, data)
        size = _write_profiles(folder / "profiles", data)
        print(f"profile files: {ROWS:,} records, {len(data.columns)} fields, {size / 1e6:.1f} MB")
        report = folder / "report.html"
        for options in ([], ["--by", "hour"]):
            command = [sys.executable, "-m", "fastmar_cli.main", "drift", str(folder), str(folder / "profiles")]
            started_at = time.perf_counter()
            subprocess.run([*command, *options, "--html", str(report)], stdout=subprocess.DEVNULL, check=False)  # 3
            seconds = time.perf_counter() - started_at
            opened = _open(report)
            label = " ".join(["fastmar drift --html", *options])
            print(f"{label}: {seconds:.1f} s, {report.stat().st_size / 1e3:,.0f} kB, opens in {opened:.0f} ms")


def _write_archive(folder: Path, data: Data) -> None:
    """The members that the command reads for profile files: spec and profile."""
    fields = tuple(Field(each.name, each.kind, categories=each.known) for each in data.variables[: len(data.columns)])
    categories = {each.name: list(each.categories) for each in fields if each.kind == CATEGORY}
    numbers = [each.name for each in fields if each.kind != CATEGORY]
    steps: tuple[dict[str, Any], ...] = (
        {"step": "categorify", "vocabularies": categories},
        {"step": "read_tab_batch", "cats": list(categories), "conts": numbers},
    )
    inputs = (
        Tensor("x_cat", "int64", ("batch", len(categories))),
        Tensor("x_cont", "float32", ("batch", len(numbers))),
    )
    outputs = (Tensor("output", "float32", ("batch", 2)),)
    decode = {"decoder": "category", "vocab": list(LABELS), "activation": "softmax"}
    spec = Spec(1, "wide", "1.0", "tabular", __version__, fields, steps, inputs, outputs, decode, ("label",))
    (folder / SPEC).write_bytes(orjson.dumps(to_dict(spec)))
    (folder / PROFILE).write_bytes(orjson.dumps(data.reference.as_dict()))


def _write_profiles(folder: Path, data: Data) -> int:
    folder.mkdir()
    rows, _ = data.change(data.draw(ROWS // 10))  # each row ten times
    lines: list[bytes] = []
    for at in range(ROWS // ROWS_OF_LINE):
        start = at * ROWS_OF_LINE % len(rows.probabilities)
        part = data.profile(rows, slice(start, start + ROWS_OF_LINE))
        lines.append(_line(part, data, at))
    for worker in range(WORKERS):
        (folder / f"{worker}.jsonl").write_bytes(b"".join(lines[worker::WORKERS]))
    return sum(map(len, lines))


def _line(profile: Profile, data: Data, at: int) -> bytes:
    start = f"2026-03-{1 + at // 240 % 28:02d}T{at // 10 % 24:02d}:00:00+00:00"
    names = {"model": "wide", "version": "1.0", "digest": data.reference.digest, "host": "one", "worker": "0"}
    return json.dumps({"format": 1, **names, "start": start, "end": start, **profile.as_dict()}).encode() + b"\n"


def _open(path: Path) -> float:
    """Milliseconds until the report is loaded, the median of three."""
    from tests.browser import launched  # noqa: PLC0415 - needs Playwright

    found: list[float] = []
    with launched() as browser:
        for _ in range(3):
            page: Any = browser.new_context(viewport={"width": 390, "height": 800}).new_page()
            page.goto(path.as_uri())
            found.append(page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
            page.context.close()
    return median(found)


if __name__ == "__main__":
    main()
