"""Score each row of a table, or each picture of a folder, with an archive in this process or with a server.

TARGET is MODEL.mar, or a URL such as http://127.0.0.1:8080/predictions/NAME. The output has the columns of the table,
followed by the prediction, its probability, warnings, and the error of a row that can't be scored. After an
interruption of any kind, the same command resumes the run. An existing FILE is refused without --force.

A server reads and answers CSV. An archive uses all cores, and reads and writes CSV, Parquet, Arrow IPC (.arrow) and
JSON lines, by the endings of the names; CSV and JSON lines may be compressed (.gz, .bz2, .zst). TABLE may be a folder,
a pattern in quotes such as 'data/*.parquet', or - for standard input in CSV; FILE may be - for standard output. Both
may be URLs, such as s3://bucket/table.parquet.

With an archive of pictures, TABLE is a folder with its subfolders, a pattern such as 'photos/*.jpg', or a table with a
column of paths (relative to the current folder) or of the files' bytes. The output has a row for each picture.

With --engine ray, Ray Data scores Parquet files on a cluster (--address) or on this machine, and FILE is a folder of
Parquet files in the order of the rows.

An archive runs on the first GPU if onnxruntime-gpu is installed in place of onnxruntime, else on the processor.

Examples:
  fastmar score model_store/flights.mar rows.csv -o scored.csv
  fastmar score model_store/textures.mar photos -o scored.parquet
  fastmar score model_store/reviews.mar reviews.parquet --text body -o scored.parquet
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastmar_cli.arguments import add_key_file, positive, refuse_swapped
from fastmar_cli.console import err, out
from fastmar_contract.urls import is_url

if TYPE_CHECKING:
    from fastmar_client import Scored

INTERRUPTED = 130
GPU = 0  # the first device that is visible, where ONNX Runtime has CUDA

RAY = "ray"
COLUMNAR = (".parquet", ".pq", ".arrow", ".feather", ".ipc", ".jsonl", ".ndjson")  # endings of formats by column


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command's arguments."""
    parser.add_argument(
        "target", metavar="TARGET", help="MODEL.mar, or the URL of a served model, which reads and writes CSV only"
    )
    parser.add_argument(
        "table",
        metavar="TABLE",
        help="CSV with a header, and commas, semicolons or tabs; with an archive also one of the formats above",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        required=True,
        help="the output file: CSV; with an archive also one of the formats above",
    )
    parser.add_argument(
        "--image",
        "--text",
        dest="column",
        metavar="COLUMN",
        help="column of pictures (paths or bytes) or texts (default: image or path, or the name of the model's text "
        "field, or the only column)",
    )
    parser.add_argument(
        "--keep",
        "--id",
        metavar="NAME,NAME",
        type=_names,
        help="columns of the table in the output, such as an id (default: all); none: ''",
    )
    parser.add_argument(
        "--columns",
        metavar="NAME,NAME",
        type=_names,
        help="columns of the output: names of the table's columns; input for all of them; prediction, probability, "
        "probabilities (of each label), index, warnings, error; with an archive also error_code, error_field",
    )
    parser.add_argument(
        "--errors",
        choices=("column", "separate", "fail"),
        help="for rows that can't be scored: column puts the error into a column (the default), separate writes the "
        "rows to a file of their own (FILE.errors), fail ends the run at the first one",
    )
    parser.add_argument(
        "--encoding",
        default="utf-8-sig",
        help="encoding of the table, such as cp1252 (default: UTF-8, or UTF-16 with a byte order mark)",
    )
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        help="resume an interrupted run (the default), or start again",
    )
    parser.add_argument("--force", action="store_true", help="replace an existing FILE")
    add_key_file(parser)
    parser.add_argument(
        "--concurrency", type=positive, default=4, metavar="N", help="simultaneous requests to a server (default: 4)"
    )
    parser.add_argument("--workers", type=positive, metavar="N", help="threads with an archive (default: one per core)")
    parser.add_argument("--batch-size", type=positive, metavar="N", help="rows that a thread scores at a time")
    parser.add_argument(
        "--engine",
        choices=("process", RAY),
        default="process",
        help="with an archive: score in this process (the default), or with Ray Data, where --workers are actors with "
        "one CPU each, and --batch-size is the number of rows of a file",
    )
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="the Ray cluster (default: the one on this machine, started if there is none)",
    )


def run(args: argparse.Namespace) -> int:
    """Score; exit status 1 if a row could not be scored."""
    from fastmar_client import ClientError, CsvUnreadable, RecordRefused, ResumeRefused
    from fastmar_serving.targets import open_target

    refuse_swapped(args, args.target, [args.table])
    if args.engine == RAY:
        _check_ray(args)
    elif args.address:
        args.refuse("--address is for --engine ray")
    target = open_target(args.target, args.key_file, gpu=None if args.engine == RAY else GPU)
    started_at = time.monotonic()
    with _progress() as progress:
        try:
            scored = _score(target, args, progress)
        except KeyboardInterrupt:
            progress.print_how_to_resume("Interrupted", args)
            return INTERRUPTED
        except ClientError as error:
            # The same command would be refused.
            if not isinstance(error, ResumeRefused | CsvUnreadable | RecordRefused):
                progress.print_how_to_resume("Stopped", args)
            raise
    _report(args, scored, time.monotonic() - started_at)
    return 1 if scored.errors else 0


def _score(target: Any, args: argparse.Namespace, progress: _Progress) -> Scored:
    """Score files of any format with an archive, CSV with a server."""
    from fastmar_bulk.memory import share_heap
    from fastmar_serving.targets import ArchiveTarget

    needs_bulk = any(
        value is not None for value in (args.column, args.keep, args.errors, args.workers, args.batch_size)
    )
    if isinstance(target, ArchiveTarget):
        share_heap()
        try:
            from fastmar_bulk import files, layout, parts
        except ModuleNotFoundError as error:
            if needs_bulk or args.engine == RAY or Path(args.table).suffix != Path(args.output).suffix:
                args.refuse(f"{error.name} is not installed: pip install 'fastmar[bulk]'")
        else:
            options = layout.Options(
                column=args.column,
                columns=args.columns,
                keep=args.keep,
                errors=args.errors or layout.COLUMN,
                encoding=args.encoding,
                batch_size=args.batch_size,
                workers=args.workers,
                resume=args.resume is not False,
                overwrite=args.force,
                progress=progress.update,
            )
            if args.engine == RAY:
                return _score_on_ray(target.predictor, args, options)
            progress.rows_kept = parts.rows_kept
            return files.score_files(target.predictor, target.identity, args.table, args.output, options)
    if args.engine == RAY:
        args.refuse("--engine ray is for archives, not for servers")
    if needs_bulk:
        args.refuse("--image, --text, --keep, --errors, --workers and --batch-size are for archives, not for servers")
    for path in (args.table, args.output):
        if is_url(path):
            args.refuse(f"{path} is a URL, which only archives read and write")
        if Path(path).suffix.lower() in COLUMNAR:
            args.refuse(f"{path} is not CSV, which is all that servers read and answer")
    scored: Scored = target.score(
        args.table,
        Path(args.output),
        columns=args.columns,
        encoding=args.encoding,
        resume=args.resume is not False,
        overwrite=args.force,
        concurrency=args.concurrency,
        progress=progress.update,
    )
    return scored


def _check_ray(args: argparse.Namespace) -> None:
    """Refuse what Ray can't do."""
    if "-" in (args.table, args.output):
        args.refuse("--engine ray reads and writes files, not standard input and output")
    if args.resume is not None:
        args.refuse("--engine ray does not resume an interrupted run; replace its files with --force")


def _score_on_ray(predictor: Any, args: argparse.Namespace, options: Any) -> Scored:
    try:
        from fastmar_bulk.ray_data.run import score_folder
    except ModuleNotFoundError as error:
        args.refuse(f"{error.name} is not installed: pip install 'fastmar[ray-data]'")
    cluster = {"address": args.address, "shows_progress": err.is_terminal}
    scored: Scored = score_folder(predictor, Path(args.target), args.table, args.output, options, **cluster)
    return scored


def _report(args: argparse.Namespace, scored: Scored, seconds: float) -> None:
    output = args.output
    rate = (scored.rows - scored.resumed) / max(seconds, 1e-3)
    is_separate = args.errors == "separate"
    parts = [f"{scored.rows - scored.errors if is_separate else scored.rows:,} rows"]
    if scored.errors and is_separate:
        from fastmar_bulk.outputs import errors_file

        parts.append(f"{scored.errors:,} not scored (see {errors_file(output.rstrip('/'))})")
    elif scored.errors:
        number = "none" if scored.errors == scored.rows else f"{scored.errors:,} not"
        parts.append(f"{number} scored (see the column error)")
    if scored.warned:
        parts.append(f"{scored.warned:,} with warnings")
    console = err if output == "-" else out
    console.print(f"Written: {output} ({', '.join(parts)}; {rate:,.0f} rows/s)", markup=False)


class _Progress:
    """Prints the progress: a bar if standard error is a terminal, else only how many rows were resumed."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._task: Any = None
        self._started_at = time.monotonic()
        self._last: Scored | None = None
        self.rows_kept: Callable[[str], int] = _rows_kept  # reads them from the files of the interrupted run

    def update(self, scored: Scored) -> None:
        """See `Client.score_csv`."""
        if self._last is None and scored.resumed:
            err.print(f"Resuming after {scored.resumed:,} rows.")
        self._last = scored
        if self._bar is None:
            return
        if self._task is None:
            self._task = self._bar.add_task("Scoring", total=1.0, completed=scored.share, rows="")
        rate = (scored.rows - scored.resumed) / max(time.monotonic() - self._started_at, 1e-3)
        errors = f", {scored.errors:,} not scored" if scored.errors else ""
        self._bar.update(self._task, completed=scored.share, rows=f"{scored.rows:,} rows{errors}, {rate:,.0f} rows/s")

    def print_how_to_resume(self, event: str, args: argparse.Namespace) -> None:
        """Print the number of rows that are kept, if any, and how to resume."""
        rows = self.rows_kept(args.output) if self._last is not None else 0
        if rows:
            command = "the same command" if args.resume is not False else "the command without --no-resume"
            err.print(f"{event}; {rows:,} rows are kept. Run {command} to resume.")


def _rows_kept(output: str) -> int:
    from fastmar_client import journal

    return journal.rows_kept(Path(output))


@contextmanager
def _progress() -> Iterator[_Progress]:
    if not err.is_terminal:
        yield _Progress(None)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TextColumn("{task.fields[rows]}")
    with Progress(*columns, TimeRemainingColumn(), TextColumn("left"), console=err, transient=True) as bar:
        yield _Progress(bar)


def _names(text: str) -> list[str]:
    """Names separated by commas; a name with a comma is quoted."""
    return next(csv.reader([text], skipinitialspace=True), [])
