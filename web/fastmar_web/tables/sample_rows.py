"""Tables to start from: the header alone, and rows with plausible and random values."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from fastmar_web.forms.form import Form, make_form
from fastmar_web.forms.random_example import random_texts, rounded
from fastmar_web.forms.values import defaults, from_post, from_record
from fastmar_web.presentation import Presentation, plain_number
from fastmar_web.tables.files.cells import cell_text

JSON = dict[str, Any]
RANDOM_ROWS = 9
_SEED = 0  # the same rows with each download


def header(schema: JSON) -> list[str]:
    """The columns of a table for a model; those that the model computes from a date are left out."""
    return list(make_form(schema, Presentation(schema)).fields)


def sample_rows(schema: JSON) -> list[list[str]]:
    """The plausible record, the examples of ui.yaml, and random rows."""
    texts = Presentation(schema)
    form = make_form(schema, texts)
    rng = Random(_SEED)  # noqa: S311 - not for security
    entered = [_plausible(form), *(from_record(form, record) for _, record in texts.examples())]
    entered += [random_texts(form, rng) for _ in range(RANDOM_ROWS)]
    rows = [_row(form, each) for each in entered]
    return [row for place, row in enumerate(rows) if row not in rows[:place]]


def _plausible(form: Form) -> dict[str, str]:
    """The default of each number, with few digits."""
    numbers = [each for each in form.fields.values() if each.widget == "number" and not each.hidden and each.default]
    return {each.name: plain_number(rounded(float(each.default))) for each in numbers}


def _row(form: Form, entered: dict[str, str]) -> list[str]:
    """The cells of a filled form; empty for a value that has no default."""
    filled = from_post(form, {**defaults(form).texts, **entered})
    return [cell_text(filled.record.get(name)) for name in form.fields]


TABLES: dict[str, Callable[[JSON], list[list[str]]]] = {"template": lambda _: [], "sample": sample_rows}
"""The rows by the name of the file."""
