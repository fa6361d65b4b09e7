"""Compare the data of a model's requests with its training data.

MODEL.mar is an archive, best with a profile (`fastmar export --reference`). DATA is a data file (.csv, .parquet, .json,
.jsonl), a folder of pictures or texts, or what `fastmar serve` wrote with --profiles or --request-log: a file, a
folder, or its URL in an object store. Or DATA is the URL of a server, such as http://127.0.0.1:8082/metrics, or of
Prometheus. Exit status 0: no drift, or a change to watch. 3: drift. 4: not enough data.

Examples:
  fastmar drift model_store/flights.mar rows.csv
  fastmar drift model_store/flights.mar profiles/
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastmar_cli.arguments import add_key_file, metrics_of, refuse_swapped, time
from fastmar_cli.console import notice, out, stages

if TYPE_CHECKING:
    from fastmar_monitor.drift import Drift

STATUSES = {"drift": 3, "not_enough_data": 4}
STYLES = {"drift": "red", "watch": "yellow", "none": "green", "not_enough_data": "dim", "not_compared": "dim"}
LEFT = ("field", "verdict", "reason", "period (UTC)", "fields")  # columns of texts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("archive", metavar="MODEL.mar", type=Path)
    parser.add_argument(
        "data",
        metavar="DATA",
        help="data file, folder, profile files, request log, or URL of a server or Prometheus",
    )
    parser.add_argument(
        "--since",
        type=time,
        metavar="TIME",
        help="start of the period, for profile files, request logs and Prometheus: 2026-01-31, 2026-01-31T12:00 (UTC), "
        "7d, or 12h (default: everything; for Prometheus 1d)",
    )
    parser.add_argument("--by", choices=["day", "hour"], help="also compare each day or hour of the period")
    add_key_file(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report with plots")


def run(args: argparse.Namespace) -> int:
    """Print the comparison. Returns the exit status of the verdict."""
    from fastmar_monitor.drift import measure

    refuse_swapped(args, args.archive, [args.data])
    with stages() as on_stage:
        drift = measure(
            args.archive,
            _metrics_of(args.data),
            since=args.since,
            by=args.by,
            on_progress=lambda rows: on_stage(f"{rows:,} records"),
            key_file=args.key_file,
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


def _metrics_of(data: str) -> str:
    """The address of the metrics, for the URL of a server of this user; other data as they are."""
    from urllib.parse import urlsplit

    parts = urlsplit(data)
    if parts.scheme not in ("http", "https") or parts.path.strip("/"):
        return data
    return metrics_of(data) or data


def _show(drift: Drift) -> None:
    from fastmar_monitor.wording import PERIOD_COLUMNS, TITLES, field_rows, headline, period_rows

    comparison = drift.comparison
    count = f"{comparison.rows:,} records, {comparison.reference_rows:,} of the reference"
    columns, rows, hidden = field_rows(comparison)
    out.print(_table(f"{drift.model} {drift.version}: {count}", columns, rows))
    if hidden:
        out.print(f"{hidden} more {'field' if hidden == 1 else 'fields'} without a change.")
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
