"""The page of a model that is asked with a form."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import Response, jsonify, make_response, render_template, request, url_for

from fastmar_web.answers import Shown
from fastmar_web.errors import PageError, Refused, sentence
from fastmar_web.forms import make_form
from fastmar_web.page import JSON, Page
from fastmar_web.settings import MEGABYTE
from fastmar_web.values import Filled, from_link, from_post, from_record


class FormPage(Page):
    """See `Page`: a form with a field for each part of a record."""

    asked_with = "a form"
    max_bytes = 2 * MEGABYTE

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._form = make_form(self.schema, self.texts)

    @classmethod
    def takes(cls, schema: JSON) -> str:
        """See `Page`."""
        count = len(schema["record"].get("properties", {}))
        return "1 value" if count == 1 else f"{count} values"

    def show(self) -> str:
        """See `Page`."""
        return self._show(from_link(self._form, request.args))

    def _show(self, filled: Filled, **more: Any) -> str:
        examples = [(title, self._link(from_record(self._form, record))) for title, record in self.texts.examples()]
        return self._render("ask.html", form=self._form, filled=filled, examples=examples, **more)

    def answer(self) -> Response | str:
        """See `Page`."""
        fields = self._form.fields
        if twice := [name for name, values in request.form.lists() if name in fields and len(values) > 1]:
            raise Refused(f"“{twice[0]}” was sent more than once.", fix="send each field once.")
        filled = from_post(self._form, request.form)
        link = self._link({name: filled.texts[name] for name, each in fields.items() if not each.hidden})
        answer, error = self._asked(filled)
        parts: JSON = {"answer": answer, "error": error, "link": link, "loose": self._place(answer, filled)}
        parts["snippets"] = self._writer().record(filled.record) if answer else None
        status = error.status if error else 200
        if not self._scripted:
            return make_response(self._show(filled, **parts), status)
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
