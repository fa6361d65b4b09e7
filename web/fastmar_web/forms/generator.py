"""The page of a language model: the next token of a text, or a longer text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastmar_client.generation import GENERATE
from fastmar_web.forms.form import Form, make_form
from fastmar_web.forms.page import FormPage
from fastmar_web.forms.values import FilledForm
from fastmar_web.page import JSON
from fastmar_web.presentation import Presentation

TEMPERATURE = "temperature"
_TEXTS: dict[str, JSON] = {
    GENERATE: {"label": "Tokens to generate", "help": "Leave it empty for the most probable next tokens."},
    TEMPERATURE: {"help": "Of a generated text: below 1, probable tokens are chosen more often. Empty: 1."},
}


class GeneratorPage(FormPage):
    """A form with a text, and the number of tokens to generate, which may be empty. See `Page`."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._form = _with_options(self.schema, self.texts)

    def _record(self, filled: FilledForm) -> JSON:
        unused = () if GENERATE in filled.record else (TEMPERATURE,)
        return {name: value for name, value in filled.record.items() if name not in unused}


def _with_options(schema: JSON, texts: Presentation) -> Form:
    """The form for a record with the options of generation."""
    options = schema["generator"][GENERATE]["record"]["properties"]
    record = schema["record"]
    properties = {**record["properties"], **{name: options[name] for name in _TEXTS}}
    form = make_form({**schema, "record": {**record, "properties": properties}}, texts)
    fields = {name: replace(each, **_TEXTS.get(name, {})) for name, each in form.fields.items()}
    groups = tuple(replace(group, fields=tuple(fields[each.name] for each in group.fields)) for group in form.groups)
    return replace(form, fields=fields, groups=groups)
