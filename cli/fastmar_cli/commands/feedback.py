"""Measure the accuracy of a model's logged answers, with the truth that became known later.

LOG is a request log (`fastmar serve --request-log`): a folder, a file, or its URL in an object store; JSON lines or
Parquet. TRUTH is one or more tables (.csv, .parquet, .jsonl). Their columns are request_id, the truth under the name of
the target, and optionally row (number of the record in its request, from 0) and time (when the truth became known).
Exit status 0: steady. 3: performance fell. 4: not enough truths.

Examples:
  fastmar feedback model_store/flights.mar requests/ truth.csv
  fastmar feedback model_store/flights.mar requests/ truth.csv --by day --html report.html
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fastmar_cli.arguments import refuse_swapped, time
from fastmar_cli.console import notice, out, stages

if TYPE_CHECKING:
    from fastmar_monitor.feedback.measuring import Feedback

STATUSES = {"fell": 3, "not_enough_truths": 4}
STYLES = {"fell": "red", "steady": "green", "not_enough_truths": "dim"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("archive", metavar="MODEL.mar", type=Path)
    parser.add_argument("log", metavar="LOG", help="request log")
    parser.add_argument("truths", metavar="TRUTH", nargs="+", help="table with request ids and the truth")
    parser.add_argument("--by", choices=["day", "week", "month"], default="week", help="length of the periods")
    parser.add_argument(
        "--since", type=time, metavar="TIME", help="start of the period: 2026-01-31, 2026-01-31T12:00 (UTC), or 90d"
    )
    parser.add_argument(
        "--column",
        action="append",
        default=[],
        metavar="NAME",
        help="column with the truth; repeat it for several targets",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a report with plots, and with the drift of the log"
    )


def run(args: argparse.Namespace) -> int:
    """Print the figures. Returns the exit status of the verdict."""
    from fastmar_monitor.feedback.measuring import measure

    refuse_swapped(args, args.archive, [args.log, *args.truths])
    with stages() as on_stage:
        feedback = measure(
            args.archive,
            args.log,
            args.truths,
            columns=args.column,
            by=args.by,
            since=args.since,
            on_progress=lambda rows: on_stage(f"{rows:,} answers"),
        )
    if args.html:
        from fastmar_monitor.feedback.report import drift_of, write_report

        write_report(feedback, args.html, drift_of(args.archive, args.log, args.since))
    if args.json:
        import json

        print(json.dumps(feedback.as_dict()))
    else:
        _show(feedback)
        for text in feedback.notices():
            notice(text)
        if args.html:
            out.print(f"Written: {args.html}", markup=False)
    return STATUSES.get(feedback.verdict, 0)


def _show(feedback: Feedback) -> None:
    from rich.table import Table
    from rich.text import Text

    from fastmar_contract.display import printable
    from fastmar_monitor.feedback.wording import TITLES, counts, figure_rows, headline, period_table

    titles, rows = period_table(feedback)
    name = printable(f"{feedback.model} {feedback.version}: {counts(feedback)}")
    table = Table(title=Text(name), title_justify="left")
    for at, title in enumerate(titles):
        table.add_column(title, justify="right" if at else "left")
    for row in rows:
        table.add_row(*row)
    out.print(table)
    for figure, value in figure_rows(feedback):
        out.print(f"{figure}: {value}")
    title = TITLES[feedback.verdict].capitalize()
    out.print(f"[{STYLES[feedback.verdict]}]{title}.[/] {headline(feedback)}")
