"""The view of an explanation of a record: a small curve for each field, ranked by effect."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from fastmar_web.effects import largest_effect
from fastmar_web.forms.fields import Field
from fastmar_web.forms.form import Form
from fastmar_web.presentation import Presentation, display_text, format_number, format_percent

JSON = dict[str, Any]
SHOWN = 5  # fields; the page hides the others in a list to open
_HEIGHT, _WIDTH = 28.0, 100.0  # of a curve, in its own units
_NO_EFFECT = "no effect"
_MARGIN = 2.0  # above and below a curve


@dataclass(frozen=True, slots=True)
class CurveBar:
    """The bar of a category: its place in the curve, its text, and whether it is the entered category."""

    x: float
    width: float
    y: float
    height: float
    text: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Row:
    """The effect of one field.

    Attributes:
        id: id of the field's element.
        label: the label of the field.
        sent, typical: the entered value and the typical one, as texts.
        effect: the change from the typical value, as text; "typical" for that value itself; empty if there is none.
        length: the length of the effect's bar, from 0 to 100 for the largest effect.
        rises: whether the entered value increases the outcome.
        path: the path of the curve of a number or a date, for SVG; empty if there is none.
        now: place of the entered number on the curve, from 0 to 100; None if it is not on it.
        bars: the curve of categories.
        summary: the curve as text.
    """

    id: str
    label: str
    sent: str
    typical: str
    effect: str
    length: float
    rises: bool
    path: str
    now: float | None
    bars: tuple[CurveBar, ...]
    summary: str


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The explanation of an answer: the outcome that the curves show, their common scale, and the rows.

    `is_share` says whether the outcome is the probability of a label, and not a number.
    """

    outcome: str
    scale: str
    rows: tuple[Row, ...]
    is_share: bool

    @property
    def first(self) -> tuple[Row, ...]:
        """The fields that are shown at once."""
        return self.rows[:SHOWN]

    @property
    def others(self) -> tuple[Row, ...]:
        """The other fields."""
        return self.rows[SHOWN:]


@dataclass(frozen=True, slots=True)
class _Scale:
    """The common scale of all curves, so that they can be compared."""

    low: float
    high: float
    unit: str
    is_share: bool

    def y(self, outcome: float) -> float:
        """The place of an outcome in a curve, from the top."""
        part = (outcome - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return round(_MARGIN + (_HEIGHT - 2 * _MARGIN) * (1 - part), 2)

    def text(self, outcome: float) -> str:
        return format_percent(outcome) if self.is_share else f"{format_number(outcome)}{self.unit}"

    def change(self, effect: float) -> str:
        """An effect as text."""
        if self.is_share:
            points = round(100 * effect, 1)
            return f"{points:+.{0 if abs(points) >= 1 else 1}f} points" if points else _NO_EFFECT
        return f"{'+' if effect > 0 else ''}{format_number(effect)}{self.unit}" if effect else _NO_EFFECT


def what_if(explanation: JSON, form: Form, texts: Presentation) -> WhatIf | None:
    """The view of an explanation; None if it has no field that the form shows."""
    shown = {each.name: each for group in form.groups for each in group.fields}
    columns = [each for each in explanation["columns"] if each["column"] in shown and each["curve"]]
    if not columns:
        return None
    is_share = "probabilities" in explanation["answer"]
    outcomes = [point["outcome"] for column in columns for point in column["curve"]]
    unit = f" {texts.unit}" if texts.unit and not is_share else ""
    scale = _Scale(min(outcomes), max(outcomes), unit, is_share)
    largest = largest_effect((each["effect"] or 0.0 for each in columns), is_share=is_share)
    rows = tuple(_row(column, shown[column["column"]], scale, largest) for column in columns)
    outcome = str(explanation["outcome"])
    name = texts.answer(outcome) if is_share else texts.label(outcome)
    return WhatIf(name, f"{scale.text(scale.low)} to {scale.text(scale.high)}", rows, is_share)


def _row(column: JSON, field: Field, scale: _Scale, largest: float) -> Row:
    curve, sent, effect = column["curve"], column["sent"], column["effect"]
    least, most = (pick(curve, key=lambda point: point["outcome"]) for pick in (min, max))
    ends = [f"{scale.text(point['outcome'])} at {_text(field, point['value'])}" for point in (least, most)]
    is_line = not field.choices and len(curve) > 1
    return Row(
        field.id,
        field.label,
        _text(field, sent),
        _text(field, column["typical"]),
        "typical" if sent == column["typical"] else "" if effect is None else scale.change(effect),
        round(100 * abs(effect or 0.0) / largest, 1),
        (effect or 0.0) >= 0,
        _path(curve, scale) if is_line else "",
        _place(curve, sent) if is_line else None,
        _bars(curve, field, sent, scale) if field.choices else (),
        f"From {ends[0]} to {ends[1]}",
    )


def _text(field: Field, value: Any) -> str:
    """A value as the form shows it."""
    if value is None:
        return "no value"
    choice = field.choice(field.key_of(value)) if field.choices else None
    if choice:
        return choice.label
    unit = f" {field.unit}" if field.unit else ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return field.number_text(value) + unit
    return display_text(value)


def _places(curve: list[JSON]) -> list[float]:
    """The place of each point, from 0 to 100: in proportion for numbers, evenly for dates."""
    values = [point["value"] for point in curve]
    if all(isinstance(value, int | float) for value in values) and values[-1] > values[0]:
        return [round(_WIDTH * (value - values[0]) / (values[-1] - values[0]), 2) for value in values]
    return [round(_WIDTH * at / max(1, len(values) - 1), 2) for at in range(len(values))]


def _path(curve: list[JSON], scale: _Scale) -> str:
    points = [f"{x:g} {scale.y(point['outcome']):g}" for x, point in zip(_places(curve), curve, strict=True)]
    return f"M{' L'.join(points)}"


def _place(curve: list[JSON], sent: Any) -> float | None:
    places = zip(_places(curve), curve, strict=True)
    return next((x for x, point in places if point["value"] == sent), None)


def _bars(curve: list[JSON], field: Field, sent: Any, scale: _Scale) -> tuple[CurveBar, ...]:
    """A bar for each category, in the order of the form; their widths fill the curve."""
    order = {choice.key: place for place, choice in enumerate(field.choices)}
    curve = sorted(curve, key=lambda point: order.get(field.key_of(point["value"]), len(order)))
    edges = [_WIDTH * at / len(curve) for at in range(len(curve) + 1)]
    gap = min(2.0, 20.0 / len(curve))
    found = []
    for (left, right), point in zip(pairwise(edges), curve, strict=True):
        y = min(scale.y(point["outcome"]), _HEIGHT - 1)
        text = f"{_text(field, point['value'])}: {scale.text(point['outcome'])}"
        chosen = field.key_of(point["value"]) == field.key_of(sent)
        found.append(CurveBar(round(left, 2), round(right - left - gap, 2), y, round(_HEIGHT - y, 2), text, chosen))
    return tuple(found)
