"""Random values for a form, so that a visitor can try a model without knowing its columns."""

from __future__ import annotations

import random
from datetime import timedelta

from fastmar_contract.placeholders import is_placeholder
from fastmar_web.forms.dates import DATES, date_input_value, date_of
from fastmar_web.forms.fields import YES, Field
from fastmar_web.forms.form import Form
from fastmar_web.presentation import plain_number

_DIGITS = 4  # significant digits of a random number
_TRIES = 20  # a rounded number may be outside of the range
_DAYS = 365  # a random date is at most so many days from the default


def has_random(form: Form) -> bool:
    """Whether the form has a field with a random value."""
    return any(_is_random(each) for each in form.fields.values())


def random_texts(form: Form, rng: random.Random) -> dict[str, str]:
    """A value for each visible field: any category, a number of the usual range, a date near the default."""
    return {name: _text(each, rng) for name, each in form.fields.items() if not each.hidden and _is_random(each)}


def _is_random(each: Field) -> bool:
    return bool(each.choices or each.likely_range) or each.widget == "checkbox" or each.widget in DATES


def _text(each: Field, rng: random.Random) -> str:
    if each.choices:
        named = [choice for choice in each.choices if not is_placeholder(choice.key)]
        return rng.choice(named or each.choices).key
    if each.widget == "checkbox":
        return rng.choice([YES, ""])
    if each.likely_range:
        return plain_number(_number(each, *each.likely_range, rng))
    moment = date_of(each.default)
    if moment is None:
        return each.default
    moved = moment + timedelta(days=rng.randint(-_DAYS, _DAYS))
    return date_input_value(each.widget, moved.isoformat()) or each.default


def _number(each: Field, low: float, high: float, rng: random.Random) -> float:
    """A number of the range with few digits; whole if the known values of the field are."""
    step = float(each.arrow_step)
    if each.is_whole and high - low >= 2:
        step = max(step, 1.0)
    for _ in range(_TRIES):
        value = rounded(round(rng.uniform(low, high) / step) * step)
        if low <= value <= high:
            return value
    return round(min(max(value, low), high), 12)


def rounded(value: float) -> float:
    """A number with few significant digits."""
    return float(f"{value:.{_DIGITS}g}")
