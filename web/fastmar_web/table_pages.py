"""A table's way through the app: sent, looked at, scored in the background, downloaded, forgotten."""

from __future__ import annotations

import csv
import re
import secrets
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, redirect, render_template, request, send_file, url_for
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response as AnyResponse

from fastmar_client import ModelNotFound, Schema, Scored
from fastmar_web.backend import Backend
from fastmar_web.charsets import CHOICES, encoding_of
from fastmar_web.errors import Refused
from fastmar_web.jobs import CHECKING, DONE, Job, Jobs, Score, saving
from fastmar_web.limits import client
from fastmar_web.page_types import page_type
from fastmar_web.presentation import Presentation, megabytes, rounded
from fastmar_web.references import other_versions, split
from fastmar_web.security import limit
from fastmar_web.settings import Settings
from fastmar_web.snippets import Writer
from fastmar_web.tables import SAMPLE_COLUMNS, SAMPLE_ROWS, Preview, look, shortened

JSON = dict[str, Any]
PATIENCE = 1.0  # seconds that a page waits for a small table, which then needs no second look
VISITOR = "fastmar-visitor"  # cookie: a random id that only counts a visitor's tables, and opens nothing
_TOKEN = re.compile(r"[\w-]{32}", re.ASCII)
FORM_ROOM = 10_000  # bytes of a form around its file


def register(app: Flask, backend: Backend, settings: Settings, jobs: Jobs) -> None:
    """Add the pages to the app."""

    def model_of(reference: str) -> tuple[str, str | None, JSON]:
        name, version = split(reference)
        schema = backend.schema(name, version)
        if not Schema(schema).reads_csv:
            asked_with = page_type(schema).asked_with
            raise Refused(
                f"This model is asked with {asked_with}, not with tables.", fix="open its own page.", status=404
            )
        return name, version, schema

    @app.get("/models/<reference>/table")
    def table(reference: str) -> str:
        model = backend.model(*split(reference))
        name, version, schema = model_of(reference)
        return render_template(
            "table.html",
            texts=Presentation(schema),
            schema=schema,
            reference=reference,
            versions=other_versions(model, version),
            most=settings.table_bytes,
            most_text=megabytes(settings.table_bytes),
            charsets=CHOICES,
            columns=list(schema["record"].get("properties", {})),
            snippets=Writer(settings.shown_url, name, version, needs_key=backend.needs_key).table(),
        )

    @app.post("/models/<reference>/table")
    def send(reference: str) -> AnyResponse:
        limit(settings.table_bytes + FORM_ROOM)
        _, _, schema = model_of(reference)
        visitor, address = _visitor(), client(request.remote_addr or "")
        with saving():
            jobs.make_room(request.content_length or 0, visitor, address)
            file, encoding = _file_sent()

        def work(path: Path, on_row: Any) -> Preview:
            return look(path, schema, on_row, encoding)

        job = jobs.add(reference, file.filename or "", file.stream, work, visitor, address)
        return _remembered(redirect(url_for("job", name=job.id), 303), visitor)

    @app.get("/tables/<name>")
    def job(name: str) -> str:
        found = jobs.get(name)
        if found.at_work:
            found.settled.wait(PATIENCE)
        _, _, schema = model_of(found.model)
        return render_template("job.html", texts=Presentation(schema), schema=schema, **_state(found, reference=True))

    @app.get("/tables/<name>/state")
    def state(name: str) -> Response:
        """For scripts: what of the page changes."""
        found = jobs.get(name)
        html = render_template("_job.html", **_state(found))
        return jsonify({"html": html, "state": found.state, "at_work": found.at_work, "said": _said(found)})

    @app.post("/tables/<name>/score")
    def score(name: str) -> AnyResponse:
        found = jobs.get(name)
        jobs.score(found, _scoring(backend, found))
        return redirect(url_for("job", name=name), 303)

    @app.get("/tables/<name>/answers.csv")
    def answers(name: str) -> Response:
        found = jobs.get(name)
        if found.state != DONE:
            raise Refused("The answers are not complete yet.", fix="wait until the table is scored.", status=404)
        stem = Path(found.filename.replace("\\", "/")).stem[:80] or "table"
        return send_file(found.answers, mimetype="text/csv", as_attachment=True, download_name=f"{stem}-answers.csv")

    @app.post("/tables/<name>/remove")
    def remove(name: str) -> AnyResponse:
        found = jobs.get(name)
        jobs.remove(found)
        return redirect(url_for("table", reference=found.model), 303)


def _file_sent() -> tuple[FileStorage, str]:
    """The table that was sent, and its encoding.

    Raises:
        Refused: there is none, or more than one; its encoding is unknown.
    """
    files = [file for file in request.files.getlist("table") if file.filename]
    if not files:
        raise Refused("There is no file in what was sent.", fix="choose a CSV file.")
    if len(files) > 1:
        raise Refused(f"These are {len(files)} files; one is taken at a time.", fix="send each of them alone.")
    [file] = files
    return file, encoding_of(request.form.get("charset", ""), file.mimetype_params.get("charset", ""))


def _scoring(backend: Backend, job: Job) -> Score:
    """What scores the table.

    What may pass by itself is gone on with, by the version that looked at the table, whatever was deployed since. After
    any other failure, or where that version is gone, all rows are asked anew, of the one that answers now.
    """
    model, chosen = split(job.model)
    preview = job.preview or Preview()
    resume = job.error is None or job.error.passing
    if not resume:
        preview.version = None
    looked = preview.version if chosen is None else None

    def work(source: Path, target: Path, on_progress: Any) -> Scored:
        def by(version: str | None, *, resume: bool) -> Scored:
            return backend.score_table(
                model, version, source, target, on_progress, encoding=preview.encoding, resume=resume
            )

        try:
            return by(looked or chosen, resume=resume)
        except ModelNotFound:
            if looked is None:
                raise
            preview.version = None
            return by(chosen, resume=False)

    return work


def _visitor() -> str:
    """The id in the visitor's cookie, or a new one."""
    sent = request.cookies.get(VISITOR, "")
    return sent if _TOKEN.fullmatch(sent) else secrets.token_urlsafe(24)


def _remembered(response: AnyResponse, visitor: str) -> AnyResponse:
    """The response with the visitor's cookie."""
    response.set_cookie(VISITOR, visitor, httponly=True, samesite="Strict", secure=request.is_secure)
    return response


def _state(job: Job, *, reference: bool = False) -> JSON:
    """What the page of a job shows."""
    more = {"reference": job.model} if reference else {}
    return {**more, "job": job, "said": _said(job), "sample": _sample(job) if job.state == DONE else None}


def _said(job: Job) -> str:
    """The state in a sentence, for the eye and the ear."""
    preview = job.preview
    total = preview.total if preview else 0
    if job.error:
        return f"{job.error.title}. {job.error.message}"
    if job.state == CHECKING:
        return f"Reading the file: {job.done:,} rows." if job.done else "Reading the file."
    if job.state == DONE and job.scored:
        return _how_it_went(job.scored)
    if job.at_work:
        return f"{job.done:,} of {total:,} rows scored." if job.done else "Waiting for the first answers."
    return "1 row is read." if total == 1 else f"{total:,} rows are read."


def _how_it_went(scored: Scored) -> str:
    """The end in a sentence, for the eye and the ear."""
    good = scored.rows - scored.errors
    if not scored.errors:
        return "1 row is scored." if good == 1 else f"All {good:,} rows are scored."
    if not good:
        return "No row could be scored: the column error says why."
    are_scored = "is scored" if good == 1 else "are scored"
    return f"{good:,} of {scored.rows:,} rows {are_scored}; {scored.errors:,} could not be: the column error says why."


def _sample(job: Job) -> JSON | None:
    """The first rows of the answers: what was answered, then the table's own columns; None where a cell is too long."""
    with job.answers.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=_delimiter(file.readline()))
        file.seek(0)
        try:
            header = next(reader, [])
            rows = [row for row, _ in zip(reader, range(SAMPLE_ROWS), strict=False)]
        except csv.Error:
            return None
    own = len(job.preview.columns) + job.preview.more_columns if job.preview else 0
    answered = [at for at in range(own, len(header)) if any(len(row) > at and row[at] for row in rows)]
    order = [*answered, *range(own)][:SAMPLE_COLUMNS]
    return {
        "header": [header[at] for at in order],
        "rows": [[_shown(row[at], answer=at >= own) if at < len(row) else "" for at in order] for row in rows],
    }


def _shown(cell: str, *, answer: bool) -> str:
    """A cell for the eye; a number of an answer needs no sixteen digits here."""
    try:
        return rounded(float(cell)) if answer else shortened(cell)
    except ValueError:
        return shortened(cell)


def _delimiter(header: str) -> str:
    """The answers' file has the table's own."""
    return max(",;\t", key=header.count)
