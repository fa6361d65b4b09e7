"""The page of a model whose records are entered in a form."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from random import Random
from typing import Any
from urllib.parse import urlencode

from flask import Response, jsonify, make_response, render_template, request, url_for

from fastmar_web.answers import AnswerView
from fastmar_web.errors import FieldMessage, PageError, RequestRefused, sentence
from fastmar_web.forms.dates import computed_columns, dates
from fastmar_web.forms.form import make_form
from fastmar_web.forms.random_example import has_random, random_texts
from fastmar_web.forms.values import FilledForm, from_link, from_post, from_record
from fastmar_web.forms.what_if import WhatIf, what_if
from fastmar_web.page import JSON, Page
from fastmar_web.settings import MEGABYTE
from fastmar_web.snippets import Snippets

LIVE = "X-Fastmar-Live"  # header of a request that follows a change of a value
FAR_FROM_TRAINING = "far_from_training"  # code of the model's warning about the size of a number
MAX_LINK = 8000  # characters; nginx refuses longer addresses by default


class FormPage(Page):
    """A form with a field for each column of a record. See `Page`."""

    input_name = "values in a form"
    view_name = "Form"
    max_bytes = 2 * MEGABYTE

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._form = make_form(self.schema, self.texts)
        self._explains = bool(self.schema.get("explainer"))
        self._what_if: WhatIf | None = None

    @classmethod
    def takes(cls, schema: JSON) -> str:
        """See `Page`."""
        properties = schema["record"].get("properties", {})
        computed = computed_columns(schema) & properties.keys()
        count = len(properties) - len(computed)
        text = "1 value" if count == 1 else f"{count} values"
        if not computed:
            return text
        return f"{text} ({len(computed)} more are computed from {', '.join(dates(schema))})"

    def show(self) -> str:
        """See `Page`."""
        return self._render_form(from_link(self._form, request.args))

    def _render_form(self, filled: FilledForm, **more: Any) -> str:
        examples = [(title, self._link(from_record(self._form, record))) for title, record in self.texts.examples()]
        random_link = url_for("random_example", reference=self.reference) if has_random(self._form) else ""
        return self._render(
            "ask.html",
            form=self._form,
            filled=filled,
            examples=examples,
            random_link=random_link,
            is_live=self._explains,
            snippets=self._snippets(filled.texts),
            **more,
        )

    def random_link(self) -> str:
        """See `Page`."""
        return self._link(random_texts(self._form, Random()))  # noqa: S311 - not for security

    def answer(self) -> Response | str:
        """See `Page`."""
        fields = self._form.fields
        if repeated := [name for name, values in request.form.lists() if name in fields and len(values) > 1]:
            raise RequestRefused(
                f"The request has the field “{repeated[0]}” more than once.",
                fix="send each field once.",
                code="repeated_field",
            )
        filled = from_post(self._form, request.form)
        link = self._link({name: filled.texts[name] for name, each in fields.items() if not each.hidden})
        link = link if len(link) <= MAX_LINK else ""
        answer, error = self._predict(filled)
        parts: JSON = {
            "answer": answer,
            "error": error,
            "link": link,
            "general_remarks": self._place_remarks(answer, filled),
            "what_if": self._what_if,
        }
        status = error.status if error else 200
        if not self._is_script:
            return make_response(self._render_form(filled, **parts), status)
        reply = jsonify(
            {
                "code": error.code if error else None,
                "sentence": answer.sentence if answer else f"{error.title}. {error.message}" if error else "",
                "html": render_template("_answer.html", **parts),
                "whatIf": render_template("_what_if.html", **parts),
                "fields": self._field_messages(filled),
                "link": link,
                "failed": error is not None,
                "retry": bool(error and error.is_temporary),
            }
        )
        reply.status_code = status
        return reply

    def code(self) -> Snippets | None:
        """See `Page`."""
        return self._snippets(request.form)

    def _snippets(self, texts: Mapping[str, str]) -> Snippets | None:
        filled = from_post(self._form, texts)
        return None if filled.problems else self._writer().record(self._record(filled))

    def _record(self, filled: FilledForm) -> JSON:
        """The record that is sent for the values of a form."""
        return filled.record

    def _predict(self, filled: FilledForm) -> tuple[AnswerView | None, PageError | None]:
        """The model's answer, or the error. Problems of fields are added to `filled`."""
        if filled.problems:
            count = len(filled.problems)
            message = "One value is invalid." if count == 1 else f"{count} values are invalid."
            fix = "correct the marked fields."
            return None, RequestRefused(message, fix=fix, code="invalid_values", status=422, title="Not sent yet")
        try:
            return self._view(self._ask(self._record(filled))), None
        except PageError as error:
            if error.field in self._form.fields:
                text = f"{error.message} {sentence(error.fix)}"
                filled.problems[error.field] = FieldMessage(error.code, text)
                others = {name: message for name, message in error.faults.items() if name in self._form.fields}
                filled.problems = others | filled.problems
            return None, error

    def _ask(self, record: JSON) -> JSON:
        """The model's answer to a record; the explanation, if the model has one, is kept for the page.

        The answer of an explanation is that of a prediction, but only predictions are counted in profiles: records that
        a visitor sent, and not each state of the form.
        """
        if not self._explains:
            return self._backend.predict(self.name, self.version, record)
        if request.headers.get(LIVE):
            explanation = self._explain(record)
            return {**explanation["answer"], "warnings": explanation["warnings"]}
        answer = self._backend.predict(self.name, self.version, record)
        with suppress(PageError):  # the answer is shown without an explanation
            self._explain(record)
        return answer

    def _explain(self, record: JSON) -> JSON:
        explanation = self._backend.explain(self.name, self.version, record)
        self._what_if = what_if(explanation, self._form, self.texts)
        return explanation

    def _field_messages(self, filled: FilledForm) -> JSON:
        """Problems and remarks of each field, by the id of its element."""
        names = [*filled.remarks, *filled.problems]
        return {
            self._form.fields[name].id: {
                "remarks": [asdict(remark) for remark in filled.remarks.get(name, [])],
                "problem": asdict(filled.problems[name]) if name in filled.problems else None,
            }
            for name in names
        }

    def _place_remarks(self, answer: AnswerView | None, filled: FilledForm) -> list[Any]:
        """Add the remarks of the answer to their fields; return those without a visible field.

        A remark of the form about a number already says what the model's warning about its size says.
        """
        general = []
        measured = {name for name, remarks in filled.remarks.items() if remarks}
        for remark in answer.remarks if answer else ():
            each = self._form.fields.get(remark.field)
            if each is None or each.hidden:
                general.append(remark)
            elif remark.code != FAR_FROM_TRAINING or remark.field not in measured:
                filled.remark(remark.field, remark.code, remark.text)
        return general

    def _link(self, texts: dict[str, str]) -> str:
        return f"{url_for('model', reference=self.reference)}?{urlencode(texts)}"
