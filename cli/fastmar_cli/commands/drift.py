"""Compare the data of a model's requests with its training data.

MODEL.mar is an archive with a profile (`fastmar export --reference`). DATA is a data file (.csv, .parquet, .json,
.jsonl), a folder of pictures or texts, or profile files that `fastmar serve --profiles` wrote: a file, a folder, or its
URL in an object store. Exit status 0: no drift, or a change to watch. 3: drift. 4: not enough data.

Examples:
  fastmar drift model_store/flights.mar rows.csv
  fastmar drift model_store/flights.mar profiles/
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastmar_cli.console import notice, out, stages

if TYPE_CHECKING:
    from fastmar_monitor.drift import Drift

STATUSES = {"drift": 3, "not_enough_data": 4}
STYLES = {"drift": "red", "watch": "yellow", "none": "green", "not_enough_data": "dim"}
LEFT = ("field", "verdict", "period (UTC)", "fields")  # columns of texts
_UNITS = {"d": "days", "h": "hours"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("archive", metavar="MODEL.mar", type=Path)
    parser.add_argument("data", metavar="DATA", help="data file, folder, or profile files")
    parser.add_argument(
        "--since",
        type=_time,
        metavar="TIME",
        help="of profile files, only the periods since then: 2026-01-31, 2026-01-31T12:00 (UTC), 7d, or 12h",
    )
    parser.add_argument("--by", choices=["day", "hour"], help="compare each day or hour of profile files, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report with plots")


def run(args: argparse.Namespace) -> int:
    """Print the comparison; the exit status tells the verdict."""
    from fastmar_monitor.drift import measure

    with stages() as on_stage:
        drift = measure(
            args.archive,
            args.data,
            since=args.since,
            by=args.by,
            on_progress=lambda rows: on_stage(f"{rows:,} records"),
        )
    if args.html:
        from fastmar_monitor.report import write_report

        write_report(drift, args.html)
    if args.json:
        import json

        print(json.dumps(drift.as_dict()))
    else:
        _show(drift)
        for text in drift.live.notices:
            notice(text)
        if args.html:
            out.print(f"Written: {args.html}", markup=False)
    return STATUSES.get(drift.comparison.verdict, 0)


def _time(text: str) -> datetime:
    span = re.fullmatch(r"(\d{1,5})([dh])", text)
    if span:
        return datetime.now(UTC) - timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2026-01-31, 7d or 12h") from None
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _show(drift: Drift) -> None:
    from fastmar_monitor.wording import COLUMNS, PERIOD_COLUMNS, TITLES, field_rows, headline, period_rows

    comparison = drift.comparison
    count = f"{comparison.rows:,} records, {comparison.reference_rows:,} of the reference"
    rows, hidden = field_rows(comparison)
    out.print(_table(f"{drift.model} {drift.version}: {count}", COLUMNS, rows))
    if hidden:
        out.print(f"{hidden} more fields without a change.")
    if drift.periods:
        out.print(_table(None, PERIOD_COLUMNS, period_rows(drift.periods)))
    refused = f", {drift.live.refused:,} refused" if drift.live.refused else ""
    style = STYLES[comparison.verdict]
    title = TITLES[comparison.verdict].capitalize()
    out.print(f"[{style}]{title}.[/] {headline(comparison)} ({comparison.rows:,} records{refused})")


def _table(title: str | None, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    from rich.table import Table
    from rich.text import Text

    from fastmar_contract.display import printable

    table = Table(title=title and Text(printable(title)), title_justify="left")
    for name in columns:
        table.add_column(name, justify="left" if name in LEFT else "right")
    for row in rows:
        cells = [Text(printable(cell)) for cell in row]
        cells[columns.index("verdict")].style = STYLES[row[columns.index("verdict")].replace(" ", "_")]
        table.add_row(*cells)
    return table
