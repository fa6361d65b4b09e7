"""What a form or a link says, as a record for the model; and what is wrong with it, field by field."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastmar_client.json_schema import fits
from fastmar_web.forms import DATES, YES, Field, Form, as_input
from fastmar_web.presentation import rounded

JSON = dict[str, Any]


@dataclass
class Filled:
    """A form with what was entered.

    Attributes:
        texts: by field's name, as they are shown again.
        record: for the model; complete where there are no problems.
        problems: by field's name, why it can't be sent.
        remarks: by field's name, what is odd but can be sent.
    """

    texts: dict[str, str] = field(default_factory=dict)
    record: JSON = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, list[str]] = field(default_factory=dict)

    def remark(self, name: str, text: str) -> None:
        """Say something beside a field."""
        self.remarks.setdefault(name, []).append(text)


def defaults(form: Form) -> Filled:
    """The form as it is opened."""
    return Filled({name: each.default for name, each in form.fields.items()})


def from_link(form: Form, query: Mapping[str, str]) -> Filled:
    """The form as a link describes it: what the link does not say, or what can't be shown, is the default."""
    filled = defaults(form)
    for name, each in form.fields.items():
        if each.hidden or name not in query:
            continue
        text = query[name]
        if each.widget == "select" and text.strip():
            choice = each.choice(text)
            if choice is None:
                filled.remark(name, f"“{_short(text)}” is not one of these; the default is shown.")
                continue
            text = choice.key
        elif each.widget in DATES and text.strip():
            date = as_input(each.widget, text)
            if date is None:
                filled.remark(name, f"“{_short(text)}” is not a date; the default is shown.")
                continue
            text = date
        filled.texts[name] = text
    return filled


def from_record(form: Form, record: JSON) -> dict[str, str]:
    """A record, an example's for instance, as a link says it."""
    return {name: each.key_of(record[name]) for name, each in form.fields.items() if name in record and not each.hidden}


def from_post(form: Form, sent: Mapping[str, str]) -> Filled:
    """The record that a form asks about."""
    filled = Filled()
    for name, each in form.fields.items():
        unsent = "" if each.widget == "checkbox" else each.default  # browsers send no checkbox that is not ticked
        text = each.default if each.hidden else sent.get(name, unsent)
        filled.texts[name] = text
        if each.optional and each.widget != "checkbox" and not text.strip():
            continue
        try:
            filled.record[name] = value_of(each, text)
        except ValueError as error:
            filled.problems[name] = str(error)
            continue
        if said := unusual(each, filled.record[name]):
            filled.remark(name, said)
    return filled


def value_of(each: Field, text: str) -> Any:
    """What `text` stands for.

    Raises:
        ValueError: it stands for nothing that the field takes; the message is for the page.
    """
    if each.widget in ("select", "suggest"):
        return _category(each, text)
    if each.widget == "checkbox":
        return text.strip() == YES
    blank = not text.strip()
    if blank and each.nullable:
        return None
    if each.widget == "number":
        return _number(each, text)
    if each.widget in DATES:
        if blank:
            raise ValueError("Choose a date.")
        return text.strip()
    if each.widget == "json":
        return _json(each, text)
    if each.widget == "textarea" and text.strip()[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def unusual(each: Field, value: Any) -> str | None:
    """What is odd about a value that can be sent."""
    if each.usual and isinstance(value, int | float) and not each.usual[0] <= value <= each.usual[1]:
        return f"The reference data has {rounded(each.usual[0])} to {rounded(each.usual[1])}; this is outside."
    return None


def _category(each: Field, text: str) -> Any:
    if not text and each.blank:
        return None  # no value: the model knows that as a category of its own
    choice = each.choice(text)
    if choice:
        return choice.value
    if each.widget == "select" and not text:
        raise ValueError("Choose a value.")
    if each.widget == "select":
        raise ValueError(f"“{_short(text)}” is not one of the values to choose from.")
    return _as_number(text) if each.numeric else text


def _as_number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        try:
            value = float(text)
        except ValueError:
            return text
        return value if math.isfinite(value) else text


def _number(each: Field, text: str) -> Any:
    if not text.strip():
        raise ValueError("Enter a number.")
    value = _as_number(text.strip())
    if isinstance(value, str):
        raise ValueError(f"“{_short(text)}” is not a number.")  # noqa: TRY004 - it is about the text
    if each.types and not fits(value, each.types):
        raise ValueError("Enter a whole number.")
    if each.least and value < float(each.least):
        raise ValueError(f"At least {each.least}.")
    if each.most and value > float(each.most):
        raise ValueError(f"At most {each.most}.")
    return value


def _json(each: Field, text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"This is not JSON: {error.msg} (line {error.lineno}, column {error.colno}).") from error
    except RecursionError as error:
        raise ValueError("This JSON has too many levels.") from error
    if not fits(value, each.types):
        names = [name for name in each.types if name != "null"]
        raise ValueError(f"Enter JSON for {' or '.join(f'an {name}' for name in names)}.")
    return value


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
