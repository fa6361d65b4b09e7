"""Request logs and truths that are made up."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from fastmar_contract.request_log import FORMAT, is_entry
from tests.runtime import tiny

LABELS = ("<50k", ">=50k")
START = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday


def entry(request_id: str, answer: dict[str, Any], time: datetime = START, **changes: Any) -> dict[str, Any]:
    """An entry of the tiny model."""
    found = {
        "format": FORMAT,
        "time": time.isoformat(timespec="milliseconds"),
        "request_id": request_id,
        "row": 0,
        "model": "tiny",
        "version": "1.0",
        "digest": None,
        "record": {"age": 30},
        "answer": {**answer, "warnings": []},
    } | changes
    assert is_entry(found)
    return found


def label(probability: float) -> dict[str, Any]:
    """The answer of a model with two labels; `probability` is that of the second one."""
    index = int(probability > 0.5)
    probabilities = dict(zip(LABELS, (1 - probability, probability), strict=True))
    return {"prediction": LABELS[index], "index": index, "probabilities": probabilities}


def labelled(
    rows: int, days: int = 28, seed: int = 0, worse_after: int | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A calibrated model's entries over some days, and their truths with their times, some days later.

    After `worse_after` days, the truth has no relation to the answer.
    """
    rng = np.random.default_rng(seed)
    probabilities = np.round(rng.beta(0.7, 0.7, rows), 6)
    ages = np.sort(rng.random(rows)) * days
    is_second = rng.random(rows) < np.where(ages < (worse_after or days), probabilities, 0.5)
    delays = rng.exponential(3, rows)
    entries, truths = [], []
    for at in range(rows):
        time = START + timedelta(days=float(ages[at]))
        name = f"{at // 2:06d}"  # two records of each request
        entries.append(entry(name, label(float(probabilities[at])), time, row=at % 2))
        truths.append(
            {
                "request_id": name,
                "row": at % 2,
                "salary": LABELS[int(is_second[at])],
                "time": (time + timedelta(days=float(delays[at]))).isoformat(),
            }
        )
    return entries, truths


def lines(path: Path, rows: Iterable[Any]) -> str:
    """Write JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(path)


def bundle(folder: Path, **changes: Any) -> Path:
    """The bundle of a tiny model."""
    return tiny.write_bundle(folder, tiny.spec(**changes))
