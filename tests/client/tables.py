"""Input tables, and readers of output files."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from tests.client.models import people
from tests.client.scripted import Seen

ROWS = 200


def write_table(path: Path, rows: int, **options: Any) -> Path:
    people(rows).drop(columns="salary").to_csv(path, index_label="id", **options)
    return path


def lines(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter, strict=True))


def parts(out: Path) -> list[str]:
    """The names of the output file and of its working files, if they exist."""
    return sorted(path.name for path in out.parent.iterdir() if path.name.startswith(out.name))


def answers_to(seen: Seen) -> list[dict[str, Any]]:
    """An answer for each row, with the row's cells as the prediction."""
    _, *rows = csv.reader(io.StringIO(seen.body.decode(), newline=""))
    return [{"prediction": "".join(row), "index": 0, "probabilities": {}, "warnings": []} for row in rows]


class Crash(BaseException):
    """Ends a run like a kill, as far as that is possible within a process."""
