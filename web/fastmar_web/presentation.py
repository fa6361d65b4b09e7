"""Titles, labels and sentences of a model: from the part ``ui`` of its schema, with defaults for what it lacks."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from fastmar_contract.colours import is_colour
from fastmar_contract.display import humanize

JSON = dict[str, Any]

LOGO_TYPES = ("data:image/png;base64,", "data:image/svg+xml;base64,")  # an SVG in <img> runs no scripts
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(percent|name|prediction|unit)\}")


class Presentation:
    """The texts of one model. Values of a wrong type are ignored, since archives may come from others."""

    def __init__(self, schema: JSON) -> None:
        self._ui = _dict(schema.get("ui"))
        self._fields = _dict(self._ui.get("fields"))
        self._labels = _dict(self._ui.get("labels"))
        self.name = str(schema.get("name", ""))
        self.title = _text(self._ui.get("title")) or humanize(self.name)
        self.description = _text(self._ui.get("description"))
        self.sentence = _text(self._ui.get("sentence"))
        self.unit = _text(self._ui.get("unit"))
        accent, logo = _text(self._ui.get("accent")), _text(self._ui.get("logo"))
        self.accent = accent if is_colour(accent) else ""
        self.logo = logo if logo.startswith(LOGO_TYPES) else ""

    def field(self, name: str) -> JSON:
        """Options of one field: label, help, unit, default, hidden, minimum, maximum, step, choices."""
        return _dict(self._fields.get(name))

    def label(self, name: str) -> str:
        """The label of a field."""
        return _text(self.field(name).get("label")) or humanize(name)

    def title_of(self, name: str) -> str:
        """The label of a field with its unit, as the heading of a column."""
        unit = _text(self.field(name).get("unit"))
        return f"{self.label(name)} ({unit})" if unit else self.label(name)

    def category(self, name: str, text: str) -> str:
        """The display name of a category of a field."""
        return choice_labels(self.field(name)).get(text.strip()) or display_text(text)

    def answer(self, label: str) -> str:
        """The display name of a predicted label."""
        return _text(_dict(self._labels.get(label)).get("name")) or display_text(label)

    def answer_sentence(self, label: str) -> str:
        """The sentence for a label, with the placeholders {percent} and {name}."""
        return _text(_dict(self._labels.get(label)).get("sentence")) or "Prediction: {name}, {percent} sure"

    @property
    def is_arranged(self) -> bool:
        """Whether an order or groups of fields are configured."""
        return bool(_list(self._ui.get("order")) or _list(self._ui.get("groups")))

    def groups(self, names: list[str]) -> list[tuple[str, list[str]]]:
        """`names` in the configured order and groups; without groups, in one group without a title."""
        order = [str(name) for name in _list(self._ui.get("order")) if name in names]
        ordered = [*dict.fromkeys(order), *(name for name in names if name not in order)]
        groups = []
        remaining = list(ordered)
        for group in map(_dict, _list(self._ui.get("groups"))):
            members = [name for name in map(str, _list(group.get("fields"))) if name in remaining]
            if members:
                groups.append((_text(group.get("title")), list(dict.fromkeys(members))))
                remaining = [name for name in remaining if name not in members]
        if remaining:
            groups.append(("Other" if groups else "", remaining))
        return groups

    def examples(self) -> list[tuple[str, JSON]]:
        """Titles and records of the examples."""
        found = [
            (_text(example.get("title")), _dict(example.get("record")))
            for example in map(_dict, _list(self._ui.get("examples")))
        ]
        return [(title or f"Example {n}", record) for n, (title, record) in enumerate(found, 1) if record]


def choice_labels(options: JSON) -> dict[str, str]:
    """The display names of the categories of a field, by their text without surrounding white space."""
    labels = options.get("choices")
    return {str(key).strip(): str(label) for key, label in labels.items()} if isinstance(labels, dict) else {}


def display_text(value: Any) -> str:
    """A category or a label as it is shown: without surplus white space."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return plain_number(value)
    text = re.sub(r"\s+", " ", str(value)).strip()
    return re.sub(r"^(\d{4}-\d\d-\d\d)T00:00:00(\.0+)?$", r"\1", text)


def plain_number(value: float) -> str:
    """A number for a form: without a fraction if it is an integer."""
    if isinstance(value, int) or (value == int(value) if abs(value) < 1e15 else False):
        return str(int(value))
    return repr(float(value))


def format_number(value: float) -> str:
    """A number with four significant digits and thousands separators."""
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e12:
        return f"{value:.3e}"
    digits = 4 - len(str(int(abs(value)))) if abs(value) >= 1 else 3 + _zeros(abs(value))
    text = f"{value:,.{max(0, digits)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def format_percent(share: float) -> str:
    """A probability or a share; only exact values are shown as 100% or 0%."""
    if 0.995 <= share < 1:
        return "over 99%"
    if 0 < share < 0.005:
        return "under 1%"
    return f"{share:.0%}"


def format_share(share: float) -> str:
    """A probability or a share with one decimal, for columns; only exact values are shown as 100.0% or 0.0%."""
    return f"{share if share in (0, 1) else min(max(share, 0.001), 0.999):.1%}"


def format_alike(value: float, largest: float) -> str:
    """A number of a column whose largest absolute value is `largest`: four significant digits of that one."""
    if not math.isfinite(value) or not (largest == 0 or 1e-4 <= largest < 1e12):
        return format_number(value)
    decimals = max(0, 3 - math.floor(math.log10(largest))) if largest else 0
    return f"{value:,.{decimals}f}"


def fill_template(template: str, values: Mapping[str, str]) -> str:
    """A sentence with its placeholders replaced. "{percent} %" gets only one percent sign."""
    template = re.sub(r"\{percent\}\s?%", "{percent}", template)

    def replacement(match: re.Match[str]) -> str:
        return values.get(match[1], "") if match[1] else match[0][0]  # a doubled brace is an escaped brace

    return _PLACEHOLDER.sub(replacement, template).strip()


def _zeros(value: float) -> int:
    """Number of digits after the decimal point up to the first significant one."""
    zeros = 0
    while value < 0.1:
        value *= 10
        zeros += 1
    return zeros + 1


def _dict(value: Any) -> JSON:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    return str(value).strip() if isinstance(value, str | int | float) else ""


def format_size(size: int) -> str:
    """A size in kB or MB."""
    if size < 1_000_000:
        return f"{max(1, round(size / 1000))} kB"
    return f"{size / 1_000_000:.1f} MB".replace(".0 MB", " MB")
