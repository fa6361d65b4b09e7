"""The page of a picture model."""

from __future__ import annotations

from io import BytesIO
from typing import IO, Any

from flask import Response, jsonify, render_template, request

from fastmar_web.answers import AnswerView
from fastmar_web.errors import PageError, RequestRefused
from fastmar_web.page import JSON, Page
from fastmar_web.pictures import uploads
from fastmar_web.pictures.answers import facets, table_cells
from fastmar_web.pictures.occlusion import occlusion_overlay
from fastmar_web.presentation import format_size
from fastmar_web.snippets import PHOTO, Snippets

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
        texts["samples"] = len(self._samples())
        return self._render("pictures.html", **texts, **more)

    def answer(self) -> Response | str:
        """Scripts send one picture, forms several. See `Page`."""
        files = self._sent()
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
            return self._explain(uploads.read(files[0][1], self._picture_limit()))
        results = []
        for name, stream in files:
            result: JSON = {"name": name, "answer": None, "error": None, "cells": None, "facets": {}}
            try:
                data = uploads.read(stream, self._picture_limit())
                found = uploads.answer_to(self._backend, self.schema, self.name, self.version, data)
                view = self._view(found)
                result |= {"answer": view, "cells": table_cells(found), "facets": facets(found, self.texts)}
            except PageError as error:
                result["error"] = error
            results.append(result)
        return _json_response(results[0]) if self._is_script else self._render_results(results=results)

    def code(self) -> Snippets | None:
        """See `Page`. The request has the name of the picture."""
        return self._writer().picture(request.form.get("name") or PHOTO)

    def _sent(self) -> list[tuple[str, IO[bytes]]]:
        """Names and contents of the pictures in the request; a button of a form without scripts sends a sample."""
        number = request.form.get("sample", "")
        if number.isdecimal() and int(number) < len(samples := self._samples()):
            return [(f"Sample {int(number) + 1}", BytesIO(samples[int(number)]))]
        return [(file.filename, file.stream) for file in request.files.getlist("pictures") if file.filename]

    def _samples(self) -> list[bytes]:
        """The sample pictures; none if they can't be read, because the page works without them."""
        try:
            return self._backend.samples(self.name, self.version)
        except PageError:
            return []

    def _explain(self, data: bytes) -> Response:
        """What the answer to a picture depends on, for scripts."""
        found = self._backend.explain(self.name, self.version, data)
        sentence = self._view({**found["answer"], "warnings": []}).sentence
        overlay = occlusion_overlay(found, self.schema, self.texts)
        return jsonify({"sentence": sentence, "html": "", "overlay": overlay, "failed": False})

    def _picture_limit(self) -> int:
        return uploads.size_limit(self.schema, self._settings.picture_bytes)


def _json_response(result: JSON) -> Response:
    """The answer to one picture, for scripts."""
    answer: AnswerView | None = result["answer"]
    error: PageError | None = result["error"]
    reply = jsonify(
        {
            "code": error.code if error else None,
            "sentence": answer.sentence if answer else "",
            "error": f"{error.title}. {error.message}" if error else "",
            "short": answer.short if answer else "",
            "cells": result["cells"],
            **result["facets"],
            "html": render_template("_picture.html", max_bars=BARS_PER_CARD, **result),
            "overlay": answer.overlay if answer else None,
            "failed": error is not None,
            "retry": bool(error and error.is_temporary),
        }
    )
    reply.status_code = error.status if error else 200
    return reply
