"""The values of a form or a link as a record for the model, with problems and remarks by field."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastmar_client.json_schema import fits
from fastmar_web.errors import FieldMessage
from fastmar_web.forms.dates import DATES, date_input_value
from fastmar_web.forms.fields import YES, Field
from fastmar_web.forms.form import Form

JSON = dict[str, Any]
LIMIT_CODES = frozenset({"below_minimum", "above_maximum"})  # codes of `limit_problem`
FAR = 6.0  # standard deviations from the typical value of the training data


@dataclass
class FilledForm:
    """A form with the entered values. All dicts are by the field's name.

    Attributes:
        texts: the entered texts, to be shown again.
        record: the record for the model; complete if there are no problems.
        problems: values that can't be sent.
        remarks: unusual values that can be sent.
        not_taken: values of a link that the form refuses, so that it has the default.
        unknown: names in a link that no field of the form has.
    """

    texts: dict[str, str] = field(default_factory=dict)
    record: JSON = field(default_factory=dict)
    problems: dict[str, FieldMessage] = field(default_factory=dict)
    remarks: dict[str, list[FieldMessage]] = field(default_factory=dict)
    not_taken: dict[str, FieldMessage] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    def remark(self, name: str, code: str, text: str) -> None:
        """Add a remark to a field."""
        self.remarks.setdefault(name, []).append(FieldMessage(code, text))


class InvalidValue(ValueError):
    """A text that a field does not accept."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code, text)
        self.message = FieldMessage(code, text)


def defaults(form: Form) -> FilledForm:
    """The form with its defaults."""
    return FilledForm({name: each.default for name, each in form.fields.items()})


def from_link(form: Form, query: Mapping[str, str]) -> FilledForm:
    """The form with the values of a link. Fields that it lacks, or that refuse its value, have their default."""
    filled = defaults(form)
    fields = {name: each for name, each in form.fields.items() if not each.hidden}
    filled.unknown = [_short(name) for name in query if name not in fields]
    for name, each in fields.items():
        if name not in query:
            continue
        try:
            filled.texts[name] = _link_text(each, query[name])
        except InvalidValue as error:
            sent, problem = f"“{_short(query[name])}”", error.message
            text = problem.text if sent in problem.text else f"{sent} is not possible. {problem.text}"
            filled.not_taken[name] = FieldMessage(problem.code, text)
    return filled


def _link_text(each: Field, text: str) -> str:
    """The text of a field for the value of a link.

    Raises:
        InvalidValue: the field does not accept the value.
    """
    if not text.strip():
        return text
    if each.widget in DATES:
        date = date_input_value(each.widget, text)
        if date is None:
            raise InvalidValue("not_a_date", f"“{_short(text)}” is not a date.")
        return date
    if each.widget == "checkbox":
        if text.strip() != YES:
            raise InvalidValue("not_yes_or_no", f"“{_short(text)}” is not “{YES}”, or empty for no.")
        return text
    value = value_of(each, text)
    return each.key_of(value) if each.widget == "select" else text


def from_record(form: Form, record: JSON) -> dict[str, str]:
    """The parameters of a link for a record, such as an example."""
    return {name: each.key_of(record[name]) for name, each in form.fields.items() if name in record and not each.hidden}


def from_post(form: Form, sent: Mapping[str, str]) -> FilledForm:
    """The form with the values that were sent, and their record."""
    filled = FilledForm()
    for name, each in form.fields.items():
        unsent = "" if each.widget == "checkbox" else each.default  # browsers do not send a cleared checkbox
        text = each.default if each.hidden else sent.get(name, unsent)
        filled.texts[name] = text
        if each.optional and each.widget != "checkbox" and not text.strip():
            continue
        try:
            filled.record[name] = value_of(each, text)
        except InvalidValue as error:
            filled.problems[name] = error.message
            continue
        if remark := range_remark(each, filled.record[name]):
            filled.remark(name, remark.code, remark.text)
    return filled


def value_of(each: Field, text: str) -> Any:
    """The value of a record for the text of a field.

    Raises:
        InvalidValue: the field does not accept the text.
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
            raise InvalidValue("value_missing", "Choose a date.")
        return text.strip()
    if each.widget == "json":
        return _json(each, text)
    if each.widget == "textarea" and text.strip()[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def limit_problem(each: Field, value: Any) -> FieldMessage | None:
    """The problem of a number beyond the limits of the form, which are those of ui.yaml or of the JSON Schema."""
    if not isinstance(value, int | float):
        return None
    if each.minimum and value < float(each.minimum):
        return FieldMessage("below_minimum", f"The minimum is {each.minimum}.")
    if each.maximum and value > float(each.maximum):
        return FieldMessage("above_maximum", f"The maximum is {each.maximum}.")
    return None


def range_remark(each: Field, value: Any) -> FieldMessage | None:
    """A remark if a number is outside the range of the reference data, or far from a typical value of the training."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    unit = f" {each.unit}" if each.unit else ""
    if each.usual_range:
        low, high = each.usual_range
        known = f"the reference data: {each.number_text(low)} to {each.number_text(high)}{unit}."
        outside = max(low - value, value - high)
        if outside > high - low:
            return FieldMessage("far_outside_range", f"Far outside {known} The answer may be wrong.")
        return FieldMessage("outside_range", f"Outside {known}") if outside > 0 else None
    if each.training:
        typical, deviation = each.training
        if abs(value - typical) > FAR * deviation:
            low, high = typical - 2 * deviation, typical + 2 * deviation
            if min(typical, value) >= 0:  # such as rain, of which there is no negative amount
                low = max(low, 0.0)
            most = f"{each.number_text(low)} to {each.number_text(high)}{unit}"
            text = f"Far from the typical value, {each.number_text(typical)}{unit} (most values: {most})."
            return FieldMessage("far_from_typical", text)
    return None


def _category(each: Field, text: str) -> Any:
    if not text and each.has_blank:
        return None  # the model has a category for missing values
    choice = each.choice(text)
    if choice:
        return choice.value
    if each.widget == "select" and not text:
        raise InvalidValue("value_missing", "Choose a value.")
    if each.widget == "select":
        hint = f" {each.number_hint}" if each.numeric else ""
        raise InvalidValue("not_a_choice", f"“{_short(text)}” is not a known value.{hint}")
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
        raise InvalidValue("value_missing", "Enter a number.")
    value = _as_number(text.strip())
    if isinstance(value, str):
        raise InvalidValue("not_a_number", f"“{_short(text)}” is not a number. {each.number_hint}")
    if each.types and not fits(value, each.types):
        raise InvalidValue("not_an_integer", "Enter a whole number.")
    if beyond := limit_problem(each, value):
        raise InvalidValue(beyond.code, beyond.text)
    return value


def _json(each: Field, text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        text = f"This is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        raise InvalidValue("not_json", text) from error
    except RecursionError as error:
        raise InvalidValue("json_too_deep", "This JSON has too many levels.") from error
    if not fits(value, each.types):
        names = [name for name in each.types if name != "null"]
        raise InvalidValue("wrong_json_type", f"Enter JSON for {' or '.join(f'an {name}' for name in names)}.")
    return value


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
