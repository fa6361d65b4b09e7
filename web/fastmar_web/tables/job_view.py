"""What the page of a table shows: its state as a sentence, and its answers once it is scored."""

from __future__ import annotations

import csv
import sqlite3
import sys
import threading
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from flask import url_for

from fastmar_client import Scored
from fastmar_web.presentation import Presentation
from fastmar_web.tables.files import CSV, TableFormat, available
from fastmar_web.tables.job import CHECKING, DONE, Job
from fastmar_web.tables.jobs import THREADS
from fastmar_web.tables.remarks import WarningsWithRemarks
from fastmar_web.tables.result_links import choice_of
from fastmar_web.tables.result_view import ResultView, has_labels, result_view, splits_labels
from fastmar_web.tables.results import opened
from fastmar_web.tables.results_writer import write_results
from fastmar_web.tables.storage import storage_errors

JSON = dict[str, Any]
_CONVERSIONS = threading.Semaphore(THREADS)
RESULT = "result"  # id of the element with the answers, to which the links of filters lead


def variables(job: Job, query: Mapping[str, str]) -> JSON:
    """The variables of the templates; `query` are the parameters of the page."""
    texts = Presentation(job.schema)
    return {
        "job": job,
        "texts": texts,
        "schema": job.schema,
        "status": status_text(job),
        "formats": available(),
        "result": view_of(job, query, texts) if job.state == DONE else None,
    }


def view_of(job: Job, query: Mapping[str, str], texts: Presentation) -> ResultView | None:
    """The answers of a scored table; None if the page can't show them."""
    if not job.results.is_file():
        return None

    def link(**parameters: Any) -> str:
        return url_for("job", name=job.id, **parameters, _anchor=RESULT)

    with opened(job.results) as results:
        return result_view(results, choice_of(query), job.schema, texts, link)


def keep_results(job: Job) -> None:
    """Prepare the answers of a table for its page. If that fails, the page has the download alone; the log says why."""
    if job.preview is None:
        return
    try:
        header = next(csv_rows(job.answers, job.preview.delimiter))[: job.preview.width]
        write_results(
            job.answers,
            job.results,
            inputs=job.preview.width,
            delimiter=job.preview.delimiter,
            has_labels=has_labels(job.schema),
            splits_labels=splits_labels(job.schema),
            warnings_of=WarningsWithRemarks(job.schema, header),
            on_row=lambda: job.progress(job.done),
        )
    except (csv.Error, sqlite3.Error, OSError) as error:
        print(f"fastmar web: the answers of a table can't be shown: {error!r}", file=sys.stderr, flush=True)


def answers_as(job: Job, chosen: TableFormat) -> Path:
    """The file of answers in a format; written once, at the first request.

    Raises:
        RequestRefused: the answers do not fit in this format.
        Unavailable: they can't be written.
    """
    if chosen is CSV:
        return job.answers
    path = job.folder / f"answers.{chosen.extension}"
    with _CONVERSIONS, storage_errors():  # two at a time, since each takes a processor
        if not path.is_file():
            part = path.with_name(f"{path.name}.part")
            delimiter = job.preview.delimiter if job.preview else ","
            header = next(csv_rows(job.answers, delimiter))
            chosen.write(part, header, lambda: islice(csv_rows(job.answers, delimiter), 1, None))
            part.replace(path)
    return path


def csv_rows(path: Path, delimiter: str) -> Iterator[list[str]]:
    """The rows of a file of answers, with its header."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.reader(file, delimiter=delimiter)


def status_text(job: Job) -> str:
    """The state of a job as a sentence; screen readers read it aloud."""
    preview = job.preview
    total = preview.total if preview else 0
    if job.error:
        return f"{job.error.title}. {job.error.message}"
    if job.state == CHECKING:
        return f"Reading the file: {_rows(job.done)}." if job.done else "Reading the file."
    if job.state == DONE and job.scored:
        return _result_text(job.scored)
    if job.is_active:
        if not job.done:
            return "Waiting for the first answers."
        pace = job.pace.text(job.done, total)
        return f"{job.done:,} of {_rows(total)} scored{f': {pace}' if pace else ''}."
    is_fine = preview is not None and not (preview.missing or preview.error_rows or preview.warning_rows)
    return f"{_rows(total)}. No problems found." if is_fine else f"{_rows(total)}."


def _result_text(scored: Scored) -> str:
    """The result of scoring as a sentence."""
    good = scored.rows - scored.errors
    if not scored.errors:
        return "1 row scored." if good == 1 else f"All {good:,} rows scored."
    if not good:
        return "No row could be scored."
    return f"{good:,} of {_rows(scored.rows)} scored, {scored.errors:,} failed."


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
