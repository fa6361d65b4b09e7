"""The page of a model that is asked with pictures."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, render_template, request

from fastmar_web import pictures
from fastmar_web.answers import Shown, cells
from fastmar_web.errors import PageError, Refused
from fastmar_web.page import JSON, Page
from fastmar_web.presentation import megabytes

BARS_OF_A_CARD = 4
PICTURES_AT_ONCE = 20  # without scripts; with them each goes alone


class PicturePage(Page):
    """See `Page`: pictures are chosen, dropped or pasted, and answered one by one."""

    asked_with = "pictures"

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
        return self._show()

    def _show(self, **more: Any) -> str:
        most = self._most()
        snippets = self._writer().picture()
        return self._render("pictures.html", most=most, most_text=megabytes(most), snippets=snippets, **more)

    def answer(self) -> Response | str:
        """See `Page`. A script sends one picture, a form several."""
        files = [file for file in request.files.getlist("pictures") if file.filename]
        if not files:
            raise Refused("There is no picture in what was sent.", fix="choose one or more pictures.")
        most = 1 if self._scripted else PICTURES_AT_ONCE
        if len(files) > most:
            are = "is" if most == 1 else "are"
            raise Refused(f"These are {len(files)} pictures; at most {most} {are} taken at once.", fix="send fewer.")
        results = []
        for file in files:
            result: JSON = {"name": file.filename, "answer": None, "error": None, "cells": None}
            try:
                data = pictures.read(file.stream, self._most())
                found = pictures.answer_to(self._backend, self.schema, self.name, self.version, data)
                result |= {"answer": self._shown(found), "cells": cells(found)}
            except PageError as error:
                result["error"] = error
            results.append(result)
        return _for_script(results[0]) if self._scripted else self._show(results=results)

    def _most(self) -> int:
        return pictures.limit_of(self.schema, self._settings.picture_bytes)


def _for_script(result: JSON) -> Response:
    """One picture's answer."""
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
