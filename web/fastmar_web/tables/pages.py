"""Routes of the page that takes tables: upload, and files to start from."""

from __future__ import annotations

import re
import secrets
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from flask import Flask, Response, redirect, render_template, request, send_file, url_for
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response as AnyResponse

from fastmar_client import Schema
from fastmar_contract.csv_rows import UTF8
from fastmar_web.backend import Backend
from fastmar_web.errors import RequestRefused
from fastmar_web.forms.form import make_form
from fastmar_web.limits import client_network
from fastmar_web.page_types import kind_of
from fastmar_web.presentation import Presentation, format_size
from fastmar_web.references import other_versions, split_reference
from fastmar_web.security import limit_body
from fastmar_web.settings import Settings
from fastmar_web.snippets import SnippetWriter
from fastmar_web.tables import job_pages
from fastmar_web.tables.charsets import CHOICES, encoding_of
from fastmar_web.tables.files import CSV, available, convert, format_named
from fastmar_web.tables.files.base import Upload
from fastmar_web.tables.jobs import Jobs
from fastmar_web.tables.preview import Preview, preview_table
from fastmar_web.tables.sample_rows import TABLES, header
from fastmar_web.tables.storage import storage_errors

JSON = dict[str, Any]
VISITOR = "fastmar-visitor"  # cookie with a random id, to count a visitor's tables; it grants no access
_TOKEN = re.compile(r"[\w-]{32}", re.ASCII)
FORM_OVERHEAD = 10_000  # bytes of a form beside its file


def register(app: Flask, backend: Backend, settings: Settings) -> None:
    """Add the pages to the app. `app.extensions["fastmar_jobs"]` has the jobs, which run until they are closed."""
    jobs = Jobs(settings.folder, visitor=settings.visitor, address=settings.address)
    app.extensions["fastmar_jobs"] = jobs
    job_pages.register(app, backend, jobs)

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
            formats=available(),
            fields=list(make_form(schema, Presentation(schema)).fields.values()),
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
            uploaded = path.rename(path.with_name("upload"))
            upload = Upload(uploaded, path, Schema(schema).names, settings.table_bytes, on_row)
            found, remarks = convert(upload)
            preview = preview_table(path, schema, on_row, encoding if found is CSV else UTF8)
            preview.extension, preview.remarks = found.extension, remarks
            return preview

        job = jobs.add(reference, file.filename or "", file.stream, work, visitor, address, schema)
        return _set_cookie(redirect(url_for("job", name=job.id), 303), visitor)

    @app.get("/models/<reference>/<any(template, sample):rows>.<extension>")
    def start_table(reference: str, rows: str, extension: str) -> Response:
        """A table to start from: the header alone, or rows with plausible values."""
        name, _, schema = model_of(reference)
        chosen = format_named(extension)
        made = TABLES[rows](schema)
        with TemporaryDirectory() as folder:
            path = Path(folder, f"table.{extension}")
            chosen.write(path, header(schema), lambda: made)
            content = BytesIO(path.read_bytes())
        return send_file(content, chosen.media_type, as_attachment=True, download_name=f"{name}-{rows}.{extension}")


def _uploaded_file() -> tuple[FileStorage, str]:
    """The uploaded table and its encoding.

    Raises:
        RequestRefused: there is no file, or more than one, or the encoding is unknown.
    """
    files = [file for file in request.files.getlist("table") if file.filename]
    if not files:
        raise RequestRefused("The request has no file.", fix="choose a table.", code="no_file")
    if len(files) > 1:
        raise RequestRefused(
            f"The request has {len(files)} files; the limit is one.", fix="send each file alone.", code="too_many_files"
        )
    [file] = files
    return file, encoding_of(request.form.get("charset", ""), file.mimetype_params.get("charset", ""))


def _visitor() -> str:
    """The id in the visitor's cookie, or a new one."""
    visitor = request.cookies.get(VISITOR, "")
    return visitor if _TOKEN.fullmatch(visitor) else secrets.token_urlsafe(24)


def _set_cookie(response: AnyResponse, visitor: str) -> AnyResponse:
    """The response, with the visitor's id as a cookie."""
    response.set_cookie(VISITOR, visitor, httponly=True, samesite="Strict", secure=request.is_secure)
    return response
