"""The page of a model that takes pictures."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, render_template, request

from fastmar_web import pictures
from fastmar_web.answers import AnswerView, table_cells
from fastmar_web.errors import PageError, RequestRefused
from fastmar_web.page import JSON, Page
from fastmar_web.presentation import format_size
from fastmar_web.snippets import PHOTO, Snippets
from fastmar_web.what_if import occlusion_overlay

BARS_PER_CARD = 4
PICTURES_PER_FORM = 20  # without scripts; scripts send one picture per request


class PicturePage(Page):
    """Pictures are chosen, dropped or pasted, and answered one by one. See `Page`."""

    input_name = "pictures"
    view_name = "Pictures"

    @classmethod
    def takes(cls, schema: JSON) -> str:  # noqa: ARG003
        """See `Page`."""
        return "Pictures"

    @property
    def max_bytes(self) -> int:
        """See `Page`."""
        return self._settings.form_bytes

    def show(self) -> str:
        """See `Page`."""
        return self._render_results()

    def _render_results(self, **more: Any) -> str:
        limit = self._picture_limit()
        snippets = self._writer().picture()
        explains = bool(self.schema.get("explainer"))
        texts: JSON = {"limit": limit, "limit_text": format_size(limit), "snippets": snippets, "explains": explains}
        return self._render("pictures.html", **texts, **more)

    def answer(self) -> Response | str:
        """Scripts send one picture, forms several. See `Page`."""
        files = [file for file in request.files.getlist("pictures") if file.filename]
        if not files:
            raise RequestRefused("The request has no picture.", fix="choose one or more pictures.", code="no_picture")
        limit = 1 if self._is_script else PICTURES_PER_FORM
        if len(files) > limit:
            raise RequestRefused(
                f"The request has {len(files)} pictures; the limit is {limit}.",
                fix="send fewer.",
                code="too_many_pictures",
            )
        if self._is_script and request.form.get("explain"):
            return self._explain(pictures.read(files[0].stream, self._picture_limit()))
        results = []
        for file in files:
            result: JSON = {"name": file.filename, "answer": None, "error": None, "cells": None}
            try:
                data = pictures.read(file.stream, self._picture_limit())
                found = pictures.answer_to(self._backend, self.schema, self.name, self.version, data)
                result |= {"answer": self._view(found), "cells": table_cells(found)}
            except PageError as error:
                result["error"] = error
            results.append(result)
        return _json_response(results[0]) if self._is_script else self._render_results(results=results)

    def code(self) -> Snippets | None:
        """See `Page`. The request has the name of the picture."""
        return self._writer().picture(request.form.get("name") or PHOTO)

    def _explain(self, data: bytes) -> Response:
        """What the answer to a picture depends on, for scripts."""
        found = self._backend.explain(self.name, self.version, data)
        sentence = self._view({**found["answer"], "warnings": []}).sentence
        overlay = occlusion_overlay(found, self.schema, self.texts)
        return jsonify({"sentence": sentence, "html": "", "overlay": overlay, "failed": False})

    def _picture_limit(self) -> int:
        return pictures.size_limit(self.schema, self._settings.picture_bytes)


def _json_response(result: JSON) -> Response:
    """The answer to one picture, for scripts."""
    answer: AnswerView | None = result["answer"]
    error: PageError | None = result["error"]
    reply = jsonify(
        {
            "code": error.code if error else None,
            "sentence": answer.sentence if answer else "",
            "short": answer.short if answer else "",
            "cells": result["cells"],
            "html": render_template("_picture.html", max_bars=BARS_PER_CARD, **result),
            "overlay": answer.overlay if answer else None,
            "failed": error is not None,
            "retry": bool(error and error.is_temporary),
        }
    )
    reply.status_code = error.status if error else 200
    return reply
