"""A model's own page: its form, and the answer to it. Works without scripts; with them only the answer is exchanged."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Flask, Response, jsonify, make_response, render_template, request, url_for

from fastmar_web import pictures
from fastmar_web.answers import Shown, cells, shown
from fastmar_web.backend import Backend
from fastmar_web.errors import PageError, Refused, sentence
from fastmar_web.forms import Form, make_form
from fastmar_web.model_pages import other_versions, split
from fastmar_web.presentation import Presentation, megabytes
from fastmar_web.security import limit
from fastmar_web.settings import MEGABYTE, Settings
from fastmar_web.snippets import Writer
from fastmar_web.values import Filled, from_link, from_post, from_record

JSON = dict[str, Any]
BARS_OF_A_CARD = 4
PICTURES_AT_ONCE = 20  # without scripts; with them each goes alone


def register(app: Flask, backend: Backend, settings: Settings) -> None:
    """Add the pages to the app."""

    @app.get("/models/<reference>")
    def model(reference: str) -> str:
        page = Page(backend, settings, reference)
        if page.takes_pictures:
            return page.pictures()
        return page.form(from_link(page.make_form(), request.args))

    @app.post("/models/<reference>")
    def ask(reference: str) -> Response | str:
        page = Page(backend, settings, reference)
        if page.takes_pictures:
            limit(settings.form_bytes)
            return page.answer_pictures()
        limit(2 * MEGABYTE)
        return page.answer_record()


class Page:
    """One request to one model's page."""

    def __init__(self, backend: Backend, settings: Settings, reference: str) -> None:
        self._backend = backend
        self._settings = settings
        self.reference = reference
        self.name, self.version = split(reference)
        self._scripted = request.accept_mimetypes.best == "application/json"
        # A model that is being loaded lets requests wait, so a whole page is made only of one that is ready.
        self._model = None if self._scripted else backend.model(self.name, self.version)
        self.schema = backend.schema(self.name, self.version)
        self.texts = Presentation(self.schema)
        self.takes_pictures = pictures.takes_pictures(self.schema)

    def make_form(self) -> Form:
        """The form of the model."""
        self._form = make_form(self.schema, self.texts)
        return self._form

    def form(self, filled: Filled, **more: Any) -> str:
        """The page with a form."""
        examples = [(title, self._link(from_record(self._form, record))) for title, record in self.texts.examples()]
        return self._render("ask.html", form=self._form, filled=filled, examples=examples, **more)

    def answer_record(self) -> Response | str:
        """The answer to the form that was sent."""
        form = self.make_form()
        if twice := [name for name, values in request.form.lists() if name in form.fields and len(values) > 1]:
            raise Refused(f"“{twice[0]}” was sent more than once.", fix="send each field once.")
        filled = from_post(form, request.form)
        link = self._link({name: filled.texts[name] for name, each in self._form.fields.items() if not each.hidden})
        answer, error = self._asked(filled)
        parts: JSON = {"answer": answer, "error": error, "link": link, "loose": self._place(answer, filled)}
        parts["snippets"] = self._writer().record(filled.record) if answer else None
        status = error.status if error else 200
        if not self._scripted:
            return make_response(self.form(filled, **parts), status)
        reply = jsonify(
            {
                "sentence": answer.sentence if answer else f"{error.title}. {error.message}" if error else "",
                "html": render_template("_answer.html", **parts),
                "fields": self._said(filled),
                "link": link,
                "failed": error is not None,
                "retry": bool(error and error.passing),
            }
        )
        reply.status_code = status
        return reply

    def _asked(self, filled: Filled) -> tuple[Shown | None, PageError | None]:
        """The answer to what was filled in, or why there is none; what is wrong with a field is put beside it."""
        if filled.problems:
            count = len(filled.problems)
            said = "One value needs a look." if count == 1 else f"{count} values need a look."
            return None, Refused(said, fix="see beside the fields.", status=422, title="Not asked yet")
        try:
            return self._shown(self._backend.predict(self.name, self.version, filled.record)), None
        except PageError as error:
            if error.field in self._form.fields:
                filled.problems[error.field] = f"{error.message} {sentence(error.fix)}"
                others = {name: said for name, said in error.faults.items() if name in self._form.fields}
                filled.problems = others | filled.problems
            return None, error

    def _said(self, filled: Filled) -> JSON:
        """What stands beside each field, by the field's element."""
        names = [*filled.remarks, *filled.problems]
        return {
            self._form.fields[name].id: {
                "remarks": filled.remarks.get(name, []),
                "problem": filled.problems.get(name),
            }
            for name in names
        }

    def pictures(self, **more: Any) -> str:
        """The page for pictures."""
        most = pictures.limit_of(self.schema, self._settings.picture_bytes)
        snippets = self._writer().picture()
        return self._render("pictures.html", most=most, most_text=megabytes(most), snippets=snippets, **more)

    def answer_pictures(self) -> Response | str:
        """The answers to the pictures that were sent: of a script one, of a form some."""
        files = [file for file in request.files.getlist("pictures") if file.filename]
        if not files:
            raise Refused("There is no picture in what was sent.", fix="choose one or more pictures.")
        most = 1 if self._scripted else PICTURES_AT_ONCE
        if len(files) > most:
            are = "is" if most == 1 else "are"
            raise Refused(f"These are {len(files)} pictures; at most {most} {are} taken at once.", fix="send fewer.")
        results = []
        most = pictures.limit_of(self.schema, self._settings.picture_bytes)
        for file in files:
            result: JSON = {"name": file.filename, "answer": None, "error": None, "cells": None}
            try:
                data = pictures.read(file.stream, most)
                found = pictures.answer_to(self._backend, self.schema, self.name, self.version, data)
                result |= {"answer": self._shown(found), "cells": cells(found)}
            except PageError as error:
                result["error"] = error
            results.append(result)
        if self._scripted:
            return _scripted(results[0])
        return self.pictures(results=results)

    def _shown(self, answer: JSON) -> Shown:
        return shown(answer, self.schema, self.texts)

    def _place(self, answer: Shown | None, filled: Filled) -> list[Any]:
        """Put the model's remarks beside the fields they speak of; those that speak of none are returned."""
        loose = []
        for remark in answer.remarks if answer else ():
            each = self._form.fields.get(remark.field)
            if each is None or each.hidden:
                loose.append(remark)
            else:
                filled.remark(remark.field, remark.text)
        return loose

    def _link(self, texts: dict[str, str]) -> str:
        return f"{url_for('model', reference=self.reference)}?{urlencode(texts)}"

    def _writer(self) -> Writer:
        return Writer(self._settings.shown_url, self.name, self.version, needs_key=self._backend.needs_key)

    def _render(self, template: str, **more: Any) -> str:
        versions = other_versions(self._model, self.version) if self._model else []
        common = {"texts": self.texts, "schema": self.schema, "reference": self.reference, "versions": versions}
        return render_template(template, **common, **more)


def _scripted(result: JSON) -> Response:
    """One picture's answer for a script."""
    answer: Shown | None = result["answer"]
    error: PageError | None = result["error"]
    reply = jsonify(
        {
            "sentence": answer.sentence if answer else "",
            "short": answer.short if answer else "",
            "cells": result["cells"],
            "html": render_template("_picture.html", most=BARS_OF_A_CARD, **result),
            "overlay": answer.overlay if answer else None,
            "failed": error is not None,
            "retry": bool(error and error.passing),
        }
    )
    reply.status_code = error.status if error else 200
    return reply
