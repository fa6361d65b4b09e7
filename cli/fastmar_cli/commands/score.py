"""Answer each row of a CSV file of any size, with an archive in this process or with a server.

TARGET is MODEL.mar, or a URL such as http://127.0.0.1:8080/predictions/NAME. The file of answers has the table's
columns and, behind them, the prediction, its probability, warnings, and the error of a row that can't be scored. A run
that was interrupted, by Ctrl-C or by anything else, goes on where it was when the same command is run again. A
FILE that is there already is refused without --force.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastmar_cli.arguments import add_key_file
from fastmar_cli.console import err, out

if TYPE_CHECKING:
    from fastmar_client import Scored

INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument("target", metavar="TARGET", help="MODEL.mar, or the URL of a served model")
    parser.add_argument("table", metavar="TABLE", type=Path, help="CSV with a header: commas, semicolons or tabs")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, required=True, help="where the answers go")
    parser.add_argument(
        "--columns",
        metavar="NAME,NAME",
        type=_names,
        help="columns of the answers' file: names of the table's; input for all of them; prediction, probability, "
        "probabilities (of each label), index, warnings, error",
    )
    parser.add_argument(
        "--encoding",
        default="utf-8-sig",
        help="of the table, such as cp1252 (default: UTF-8, or UTF-16 with a byte order mark)",
    )
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="go on with a run that was interrupted (the default), or begin anew",
    )
    parser.add_argument("--force", action="store_true", help="replace FILE if it is there")
    add_key_file(parser)
    parser.add_argument("--concurrency", type=int, default=4, metavar="N", help="requests at a time (default: 4)")


def run(args: argparse.Namespace) -> int:
    """Score; exit status 1 where a row could not be scored."""
    from fastmar_cli.targets import open_target
    from fastmar_client import ClientError, CsvUnreadable, ResumeRefused

    target = open_target(args.target, args.key_file)
    began = time.monotonic()
    with _shown() as progress:
        try:
            scored = target.score(
                args.table,
                args.output,
                columns=args.columns,
                encoding=args.encoding,
                resume=args.resume,
                overwrite=args.force,
                concurrency=args.concurrency,
                progress=progress.update,
            )
        except KeyboardInterrupt:
            progress.say_how_to_go_on("Interrupted", args)
            return INTERRUPTED
        except ClientError as error:
            if not isinstance(error, ResumeRefused | CsvUnreadable):  # the same again would be refused again
                progress.say_how_to_go_on("Stopped", args)
            raise
    _report(args.output, scored, time.monotonic() - began)
    return 1 if scored.errors else 0


def _report(output: Path, scored: Scored, seconds: float) -> None:
    rate = (scored.rows - scored.resumed) / max(seconds, 1e-3)
    said = [f"{scored.rows:,} rows"]
    if scored.errors:
        said.append(f"{scored.errors:,} of them not scored (the column error says why)")
    if scored.warned:
        said.append(f"{scored.warned:,} with warnings")
    out.print(f"Written: {output} ({', '.join(said)}; {rate:,.0f} rows/s)", markup=False)


class _Progress:
    """What is shown while it runs: a bar where standard error is a terminal, else nothing but what was resumed."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task: Any = None
        self._began = time.monotonic()
        self._last: Scored | None = None

    def update(self, scored: Scored) -> None:
        """See `Client.score_csv`."""
        if self._last is None and scored.resumed:
            err.print(f"Going on after {scored.resumed:,} rows.")
        self._last = scored
        if self._bar is None:
            return
        if self._task is None:
            self._task = self._bar.add_task("Scoring", total=1.0, completed=scored.share, rows="")
        rate = (scored.rows - scored.resumed) / max(time.monotonic() - self._began, 1e-3)
        errors = f", {scored.errors:,} not scored" if scored.errors else ""
        self._bar.update(self._task, completed=scored.share, rows=f"{scored.rows:,} rows{errors}, {rate:,.0f} rows/s")

    def say_how_to_go_on(self, what: str, args: argparse.Namespace) -> None:
        """Say that nothing is lost."""
        from fastmar_client.journal import rows_kept

        rows = rows_kept(args.output) if self._last is not None else 0
        if rows:
            same = "the same command again" if args.resume else "it again without --no-resume"
            err.print(f"{what} after {rows:,} rows, which are kept. Run {same} to go on.")


@contextmanager
def _shown() -> Iterator[_Progress]:
    if not err.is_terminal:
        yield _Progress(None)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TextColumn("{task.fields[rows]}")
    with Progress(*columns, TimeRemainingColumn(), TextColumn("left"), console=err, transient=True) as bar:
        yield _Progress(bar)


def _names(text: str) -> list[str]:
    """Names between commas; one that holds a comma is put into quotation marks."""
    return next(csv.reader([text], skipinitialspace=True), [])
