"""How a model wants to be shown: the optional part ``ui`` of its schema, and what is sensible without it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

JSON = dict[str, Any]

_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{(percent|name|prediction|unit)\}")


class Presentation:
    """The texts of one model. Reads what it finds: an archive of somebody else's make must not break the page."""

    def __init__(self, schema: JSON) -> None:
        self._ui = _dict(schema.get("ui"))
        self._fields = _dict(self._ui.get("fields"))
        self._labels = _dict(self._ui.get("labels"))
        self.name = str(schema.get("name", ""))
        self.title = _text(self._ui.get("title")) or humanized(self.name)
        self.description = _text(self._ui.get("description"))
        self.sentence = _text(self._ui.get("sentence"))
        self.unit = _text(self._ui.get("unit"))

    def field(self, name: str) -> JSON:
        """What is said of one field: label, help, unit, default, hidden, minimum, maximum, step, choices."""
        return _dict(self._fields.get(name))

    def label(self, name: str) -> str:
        """A field's name for the eye."""
        return _text(self.field(name).get("label")) or humanized(name)

    def answer(self, label: str) -> str:
        """The name of a label that a model answers with."""
        return _text(_dict(self._labels.get(label)).get("name")) or trimmed(label)

    def answer_sentence(self, label: str) -> str:
        """The sentence for a label, with places for {percent} and {name}."""
        return _text(_dict(self._labels.get(label)).get("sentence")) or "Prediction: {name}, {percent} sure"

    def groups(self, names: list[str]) -> list[tuple[str, list[str]]]:
        """`names` in the order that is wanted, in groups with a title; without groups in one that has no title."""
        wanted = [str(name) for name in _list(self._ui.get("order")) if name in names]
        ordered = [*dict.fromkeys(wanted), *(name for name in names if name not in wanted)]
        groups = []
        left = list(ordered)
        for group in map(_dict, _list(self._ui.get("groups"))):
            members = [name for name in map(str, _list(group.get("fields"))) if name in left]
            if members:
                groups.append((_text(group.get("title")), list(dict.fromkeys(members))))
                left = [name for name in left if name not in members]
        if left:
            groups.append(("Other" if groups else "", left))
        return groups

    def examples(self) -> list[tuple[str, JSON]]:
        """Titles and records."""
        found = [
            (_text(example.get("title")), _dict(example.get("record")))
            for example in map(_dict, _list(self._ui.get("examples")))
        ]
        return [(title or f"Example {n}", record) for n, (title, record) in enumerate(found, 1) if record]


def humanized(name: str) -> str:
    """A column's name as a title: "marital-status" and "maritalStatus" become "Marital status"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", name)
    words = re.sub(r"[\s_\-.]+", " ", words).strip()
    return words[:1].upper() + words[1:] if words else name


def trimmed(value: Any) -> str:
    """A category or a label for the eye."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    text = re.sub(r"\s+", " ", str(value)).strip()
    return re.sub(r"^(\d{4}-\d\d-\d\d)T00:00:00(\.0+)?$", r"\1", text)


def number(value: float) -> str:
    """A number as people write it in a form: without a needless fraction."""
    if isinstance(value, int) or (value == int(value) if abs(value) < 1e15 else False):
        return str(int(value))
    return repr(float(value))


def rounded(value: float) -> str:
    """A number for reading: four digits that count, thousands apart."""
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e12:
        return f"{value:.3e}"
    digits = 4 - len(str(int(abs(value)))) if abs(value) >= 1 else 3 + _zeros(abs(value))
    text = f"{value:,.{max(0, digits)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A probability or a share: never 100% or 0% where it is not."""
    if 0.995 <= share < 1:
        return "over 99%"
    if 0 < share < 0.005:
        return "under 1%"
    return f"{share:.0%}"


def filled(template: str, values: Mapping[str, str]) -> str:
    """A sentence with its places filled. The owner's "{percent} %" has the sign already."""
    template = re.sub(r"\{percent\}\s?%", "{percent}", template)

    def put(match: re.Match[str]) -> str:
        return values.get(match[1], "") if match[1] else match[0][0]  # a doubled brace stands for itself

    return _PLACEHOLDER.sub(put, template).strip()


def _zeros(value: float) -> int:
    """Zeros between the point and the first digit that counts."""
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


def megabytes(size: int) -> str:
    """A size for a person."""
    if size < 1_000_000:
        return f"{max(1, round(size / 1000))} kB"
    return f"{size / 1_000_000:.1f} MB".replace(".0 MB", " MB")
