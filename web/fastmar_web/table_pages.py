"""Routes of tables: upload, check, score in the background, download, remove."""

from __future__ import annotations

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
from fastmar_web.errors import RequestRefused
from fastmar_web.job_view import keep_results, variables, view_of
from fastmar_web.jobs import DONE, Job, Jobs, ScoreTable, storage_errors
from fastmar_web.limits import client_network
from fastmar_web.page_types import kind_of
from fastmar_web.presentation import Presentation, format_size
from fastmar_web.references import other_versions, split_reference
from fastmar_web.security import limit_body
from fastmar_web.settings import Settings
from fastmar_web.snippets import SnippetWriter
from fastmar_web.tables import Preview, preview_table

JSON = dict[str, Any]
WAIT_SECONDS = 1.0  # how long a page waits for a small table, so that it need not reload
VISITOR = "fastmar-visitor"  # cookie with a random id, to count a visitor's tables; it grants no access
_TOKEN = re.compile(r"[\w-]{32}", re.ASCII)
FORM_OVERHEAD = 10_000  # bytes of a form beside its file


def register(app: Flask, backend: Backend, settings: Settings, jobs: Jobs) -> None:
    """Add the pages to the app."""

    def model_of(reference: str) -> tuple[str, str | None, JSON]:
        name, version = split_reference(reference)
        schema = backend.schema(name, version)
        if not Schema(schema).reads_csv:
            input_name = kind_of(schema).page.input_name
            raise RequestRefused(
                f"This model takes {input_name}, not tables.",
                fix="open its own page.",
                code="tables_not_supported",
                status=404,
            )
        return name, version, schema

    @app.get("/models/<reference>/table")
    def table(reference: str) -> str:
        model = backend.model(*split_reference(reference))
        name, version, schema = model_of(reference)
        return render_template(
            "table.html",
            texts=Presentation(schema),
            schema=schema,
            reference=reference,
            versions=other_versions(model, version),
            limit=settings.table_bytes,
            limit_text=format_size(settings.table_bytes),
            charsets=CHOICES,
            columns=list(schema["record"].get("properties", {})),
            snippets=SnippetWriter(settings.shown_url, name, version, needs_key=backend.needs_key).table(),
        )

    @app.post("/models/<reference>/table")
    def send(reference: str) -> AnyResponse:
        limit_body(settings.table_bytes + FORM_OVERHEAD)
        _, _, schema = model_of(reference)
        visitor, address = _visitor(), client_network(request.remote_addr or "")
        with storage_errors():
            jobs.make_room(request.content_length or 0, visitor, address)
            file, encoding = _uploaded_file()

        def work(path: Path, on_row: Any) -> Preview:
            return preview_table(path, schema, on_row, encoding)

        job = jobs.add(reference, file.filename or "", file.stream, work, visitor, address, schema)
        return _set_cookie(redirect(url_for("job", name=job.id), 303), visitor)

    @app.get("/tables/<name>")
    def job(name: str) -> str | Response:
        found = jobs.get(name)
        if request.accept_mimetypes.best == "application/json":  # a script, which shows other rows
            result = view_of(found, request.args, Presentation(found.schema))
            html = render_template("_result.html", job=found, result=result) if result else ""
            return jsonify({"html": html, "sentence": result.sentence if result else ""})
        if found.is_active:
            found.finished.wait(WAIT_SECONDS)
        return render_template("job.html", reference=found.model, **variables(found, request.args))

    @app.get("/tables/<name>/state")
    def state(name: str) -> Response:
        """For scripts: the part of the page that changes."""
        found = jobs.get(name)
        parts = variables(found, request.args)
        html = render_template("_job.html", **parts)
        return jsonify({"html": html, "state": found.state, "active": found.is_active, "sentence": parts["status"]})

    @app.post("/tables/<name>/score")
    def score(name: str) -> AnyResponse:
        found = jobs.get(name)
        jobs.score(found, _score_function(backend, found))
        return redirect(url_for("job", name=name), 303)

    @app.get("/tables/<name>/answers.csv")
    def answers(name: str) -> Response:
        found = jobs.get(name)
        if found.state != DONE:
            raise RequestRefused(
                "The table is not scored yet.", fix="wait until it is done.", code="answers_not_ready", status=404
            )
        stem = Path(found.filename.replace("\\", "/")).stem[:80] or "table"
        return send_file(found.answers, mimetype="text/csv", as_attachment=True, download_name=f"{stem}-answers.csv")

    @app.post("/tables/<name>/remove")
    def remove(name: str) -> AnyResponse:
        found = jobs.get(name)
        jobs.remove(found)
        return redirect(url_for("table", reference=found.model), 303)


def _uploaded_file() -> tuple[FileStorage, str]:
    """The uploaded table and its encoding.

    Raises:
        RequestRefused: there is no file, or more than one, or the encoding is unknown.
    """
    files = [file for file in request.files.getlist("table") if file.filename]
    if not files:
        raise RequestRefused("The request has no file.", fix="choose a CSV file.", code="no_file")
    if len(files) > 1:
        raise RequestRefused(
            f"The request has {len(files)} files; the limit is one.", fix="send each file alone.", code="too_many_files"
        )
    [file] = files
    return file, encoding_of(request.form.get("charset", ""), file.mimetype_params.get("charset", ""))


def _score_function(backend: Backend, job: Job) -> ScoreTable:
    """The function that scores the table.

    The version that checked the table also scores it, even if another one was deployed since. After a temporary failure
    the run continues. After any other failure, or if that version is gone, the default version scores all rows.
    """
    model, chosen = split_reference(job.model)
    preview = job.preview or Preview()
    resume = job.error is None or job.error.is_temporary
    if not resume:
        preview.version = None
    checked = preview.version if chosen is None else None

    def work(source: Path, target: Path, on_progress: Any) -> Scored:
        def score(version: str | None, *, resume: bool) -> Scored:
            return backend.score_table(
                model, version, source, target, on_progress, encoding=preview.encoding, resume=resume
            )

        try:
            scored = score(checked or chosen, resume=resume)
        except ModelNotFound:
            if checked is None:
                raise
            preview.version = None
            scored = score(chosen, resume=False)
        keep_results(job)
        return scored

    return work


def _visitor() -> str:
    """The id in the visitor's cookie, or a new one."""
    visitor = request.cookies.get(VISITOR, "")
    return visitor if _TOKEN.fullmatch(visitor) else secrets.token_urlsafe(24)


def _set_cookie(response: AnyResponse, visitor: str) -> AnyResponse:
    """The response, with the visitor's id as a cookie."""
    response.set_cookie(VISITOR, visitor, httponly=True, samesite="Strict", secure=request.is_secure)
    return response
