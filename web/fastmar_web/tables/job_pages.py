"""Routes of an uploaded table: its state, scoring it, its answers, and removing it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as AnyResponse

from fastmar_client import ModelNotFound, Scored
from fastmar_web.backend import Backend
from fastmar_web.errors import RequestRefused
from fastmar_web.presentation import Presentation
from fastmar_web.references import split_reference
from fastmar_web.tables.files import format_named
from fastmar_web.tables.job import DONE, Job
from fastmar_web.tables.job_view import answers_as, keep_results, variables, view_of
from fastmar_web.tables.jobs import Jobs, ScoreTable
from fastmar_web.tables.preview import Preview

WAIT_SECONDS = 1.0  # how long a page waits for a small table, so that it need not reload


def register(app: Flask, backend: Backend, jobs: Jobs) -> None:
    """Add the pages to the app."""

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

    @app.get("/tables/<name>/answers.<extension>")
    def answers(name: str, extension: str) -> Response:
        found = jobs.get(name)
        if found.state != DONE:
            raise RequestRefused(
                "The table is not scored yet.", fix="wait until it is done.", code="answers_not_ready", status=404
            )
        chosen = format_named(extension)
        stem = Path(found.filename.replace("\\", "/")).stem[:80] or "table"
        return send_file(
            answers_as(found, chosen),
            chosen.media_type,
            as_attachment=True,
            download_name=f"{stem}-answers.{extension}",
        )

    @app.post("/tables/<name>/remove")
    def remove(name: str) -> AnyResponse:
        found = jobs.get(name)
        jobs.remove(found)
        return redirect(url_for("table", reference=found.model), 303)


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
