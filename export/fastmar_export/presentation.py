"""Checks `ui.yaml`, the presentation of a model in forms, against the model.

The file has titles, an accent colour, a logo, labels, units, order, groups, defaults, hidden fields, sentences and
examples. All of them are optional, and none changes an answer. docs/web.md describes the format.
"""

from __future__ import annotations

import copy
import difflib
import string
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from fastmar_contract.colours import is_colour
from fastmar_contract.values import CATEGORY, DATE, FLOAT32_MAX, NUMBER
from fastmar_export.errors import ExportError
from fastmar_runtime.answers import answer_kind
from fastmar_runtime.schema import json_value
from fastmar_runtime.spec import Field, Spec
from fastmar_runtime.steps.categorify import vocabulary

Ui = dict[str, Any]

MAX_TEXT = 2_000  # characters of a text
MAX_SUGGESTIONS = 8  # known names that a fix lists
LABEL_PLACEHOLDERS = {"name", "percent"}  # allowed in the sentence of a label
SENTENCE_PLACEHOLDERS = {"prediction", "unit"}  # allowed in the sentence of the model


class UiRefused(ExportError):
    """ui.yaml is invalid, or does not match the model.

    Attributes:
        where: the invalid part, such as "fields.age.minimum"; None for the whole file.
    """

    code = "ui_refused"

    def __init__(self, message: str, *, fix: str, code: str | None = None, where: str | None = None) -> None:
        super().__init__(message, fix=fix, code=code)
        self.where = where


def check_ui(ui: Any, spec: Spec) -> Ui:
    """Check each part of `ui`.

    Returns:
        A copy in which categories without their leading or trailing white space are completed.

    Raises:
        UiRefused: a part is invalid.
    """
    fields = {field.name: field for field in spec.fields}
    parts: dict[str, Callable[[Any, str], None]] = {
        "title": _text,
        "description": _text,
        "accent": _colour,
        "logo": _text,  # a path; ui_file.py embeds the file
        "unit": _text,
        "sentence": lambda value, where: _sentence(value, where, SENTENCE_PLACEHOLDERS),
        "order": lambda value, where: _names(value, where, fields),
        "groups": lambda value, where: _groups(value, where, fields),
        "fields": lambda value, where: _fields(value, where, fields),
        "labels": lambda value, where: _labels(value, where, labels_of(spec)),
        "examples": lambda value, where: _examples(value, where, fields),
    }
    ui = copy.deepcopy(ui)
    _mapping(ui, "the file", parts)
    for name, value in ui.items():
        parts[name](value, name)
    return dict(ui)


def labels_of(spec: Spec) -> list[str]:
    """What the model predicts and `labels` can name: labels, classes of masks, or points by number, from 1."""
    return answer_kind(spec.decode).nameable(spec.decode)


def _fields(value: Any, where: str, known: dict[str, Field]) -> None:
    for name, entry in _mapping(value, where, known).items():
        _field(entry, f"{where}.{name}", known[name])


def _field(entry: Any, where: str, field: Field) -> None:
    checks: dict[str, Callable[[Any, str], None]] = {
        "label": _text,
        "help": _text,
        "unit": _text,
        "hidden": _boolean,
        "default": lambda value, place: check_value(value, place, field),
    }
    if field.kind == NUMBER:
        checks |= {"minimum": _number, "maximum": _number, "step": _number}
    if field.kind == CATEGORY:
        checks["choices"] = lambda value, place: _choices(value, place, field)
    _mapping(entry, where, checks)
    if field.kind == CATEGORY:
        restore_whitespace(entry, field)
    for name, value in entry.items():
        checks[name](value, f"{where}.{name}")
    if entry.get("hidden") and "default" not in entry and field.default is None:
        raise _refused(
            where,
            "is hidden and has no default",
            "add a default, which is sent with each record.",
            code="missing_default",
        )


def restore_whitespace(entry: Ui, field: Field) -> None:
    """Complete categories of `entry` that are written without white space: forms show ' Private' as Private."""
    restore = whitespace_restorer(field)
    if "default" in entry:
        entry["default"] = restore(entry["default"])
    if isinstance(entry.get("choices"), dict):
        entry["choices"] = {restore(name): label for name, label in entry["choices"].items()}


def whitespace_restorer(field: Field) -> Callable[[Any], Any]:
    """A function that returns the field's category that equals a value except for white space, or else the value."""
    known = vocabulary(field.categories)

    def restore(value: Any) -> Any:
        return known.match_ignoring_white_space(value) if isinstance(value, str) else value

    return restore


def check_value(value: Any, where: str, field: Field) -> None:
    """Check that `value`, the value of the part `where`, is valid for `field`.

    Raises:
        UiRefused: it is not.
    """
    if field.kind == NUMBER:
        _number(value, where)
    elif field.kind == CATEGORY:
        known = [json_value(category) for category in field.categories]
        if value is not None and value not in known:
            raise _refused(
                where, f"is {value!r}, which is not a known category", _suggestion(value, known), code="unknown_name"
            )
    elif field.kind == DATE and value is not None:
        _date(value, where)


def _choices(value: Any, where: str, field: Field) -> None:
    known = {str(json_value(category)) for category in field.categories}
    for name, label in _mapping(value, where, None).items():
        if str(name) not in known:
            raise _refused(
                where, f"has {name!r}, which is not a known category", _suggestion(name, known), code="unknown_name"
            )
        _text(label, f"{where}.{name}")


def _labels(value: Any, where: str, known: list[str]) -> None:
    for name, entry in _mapping(value, where, None).items():
        if str(name) not in known:
            raise _refused(
                where, f"has {name!r}, which is not a label of the model", _suggestion(name, known), code="unknown_name"
            )
        for part, text in _mapping(entry, f"{where}.{name}", ("name", "sentence")).items():
            _sentence(text, f"{where}.{name}.{part}", LABEL_PLACEHOLDERS if part == "sentence" else set())


def _groups(value: Any, where: str, fields: Iterable[str]) -> None:
    for names, place in _titled_entries(value, where, "fields"):
        _names(names, place, fields)


def _examples(value: Any, where: str, fields: dict[str, Field]) -> None:
    for record, place in _titled_entries(value, where, "record"):
        for name, item in _mapping(record, place, fields).items():
            if isinstance(item, list | dict):
                raise _refused(f"{place}.{name}", "is a list or a mapping", "use a single value.", code="wrong_type")
            record[name] = whitespace_restorer(fields[name])(item)
            if item is not None:  # None leaves the field empty
                check_value(record[name], f"{place}.{name}", fields[name])


def _titled_entries(value: Any, where: str, part: str) -> Iterator[tuple[Any, str]]:
    """The `part` of each entry of a list, and its place; each entry must also have a title."""
    for number, entry in enumerate(_list(value, where)):
        place = f"{where}[{number}]"
        _mapping(entry, place, ("title", part))
        if {"title", part} - entry.keys():
            raise _refused(place, f"has no title or no {part}", "add both.", code="missing_part")
        _text(entry["title"], f"{place}.title")
        yield entry[part], f"{place}.{part}"


def _names(value: Any, where: str, known: Iterable[str]) -> None:
    known = list(known)
    for name in _list(value, where):
        if name not in known:
            raise _refused(where, f"has {name!r}, which is not a field", _suggestion(name, known), code="unknown_name")
    if len(set(value)) != len(value):
        raise _refused(where, "contains a field twice", "list each field once.", code="duplicate_field")


def _mapping(value: Any, where: str, known: Iterable[str] | None) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise _refused(where, f"is {_short_repr(value)}", "write `name: value` lines.", code="wrong_type")
    if known is not None:
        known = list(known)
        for name in value:
            if name not in known:
                raise _refused(where, f"has the unknown key {name!r}", _suggestion(name, known), code="unknown_name")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise _refused(
            where, f"is {_short_repr(value)}", "write a list, with a dash before each item.", code="wrong_type"
        )
    return value


def _text(value: Any, where: str) -> None:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise _refused(
            where,
            f"is {_short_repr(value)}",
            f"use a text of at most {MAX_TEXT} characters, in quotes.",
            code="wrong_type",
        )


def _boolean(value: Any, where: str) -> None:
    if not isinstance(value, bool):
        raise _refused(where, f"is {_short_repr(value)}", "use true or false.", code="wrong_type")


def _number(value: Any, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -FLOAT32_MAX <= value <= FLOAT32_MAX:
        raise _refused(
            where,
            f"is {_short_repr(value)}",
            f"use a number between -{FLOAT32_MAX:.3g} and {FLOAT32_MAX:.3g}.",
            code="wrong_type",
        )


def _date(value: Any, where: str) -> None:
    """Check a date as `fastmar_runtime.steps.add_datepart` reads it."""
    try:
        datetime.fromisoformat(value.strip())
    except (AttributeError, ValueError):
        fix = "write the date as 2024-01-31 or 2024-01-31T08:30:00."
        raise _refused(where, f"is {_short_repr(value)}", fix, code="wrong_type") from None


def _colour(value: Any, where: str) -> None:
    if not isinstance(value, str) or not is_colour(value):
        raise _refused(
            where, f"is {_short_repr(value)}", 'use six hexadecimal digits, in quotes: "#0b6e80".', code="wrong_type"
        )


def _sentence(value: Any, where: str, known: set[str]) -> None:
    _text(value, where)
    try:
        parts = [(name, rest, conversion) for _, name, rest, conversion in string.Formatter().parse(value)]
    except ValueError as error:
        raise _refused(
            where, f"has an unmatched brace ({error})", "write {{ for a literal brace.", code="invalid_placeholder"
        ) from error
    for name, rest, conversion in parts:
        if name is not None and (name not in known or rest or conversion):
            allowed = ", ".join(f"{{{each}}}" for each in sorted(known))
            fix = f"use only {allowed}." if allowed else "use a text without placeholders."
            raise _refused(where, f"contains the placeholder {{{name}}}", fix, code="invalid_placeholder")


def _refused(where: str, what: str, fix: str, *, code: str) -> UiRefused:
    return UiRefused(f"in ui.yaml, {where} {what}.", fix=fix, code=code, where=where)


def _suggestion(name: Any, known: Iterable[Any]) -> str:
    """A fix that suggests the most similar known name, or lists the known names."""
    texts = [str(each) for each in known]
    near = difflib.get_close_matches(str(name), texts, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    more = ", ..." if len(texts) > MAX_SUGGESTIONS else ""
    return f"use one of: {', '.join(map(repr, texts[:MAX_SUGGESTIONS]))}{more}." if texts else "remove it."


def _short_repr(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
