"""How people want to see a model: `ui.yaml`, checked against the model it is for.

It holds titles, labels, units, order, groups, defaults, hidden fields, sentences, examples. All of it is optional and
none of it changes an answer. docs/web.md describes it.
"""

from __future__ import annotations

import copy
import difflib
import re
import string
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from fastmar_contract.values import CATEGORY, DATE, FLOAT32_MAX, NUMBER
from fastmar_export.errors import ExportError
from fastmar_runtime.schema import json_value
from fastmar_runtime.spec import Field, Spec
from fastmar_runtime.steps.categorify import vocabulary

Ui = dict[str, Any]

LONGEST = 2_000  # characters of a text
MOST_NAMED = 8  # of what there is
IN_LABELS, IN_SENTENCE = {"name", "percent"}, {"prediction", "unit"}  # what a sentence may hold in braces


class UiRefused(ExportError):
    """ui.yaml is not one, or speaks of what the model does not have."""

    code = "ui_refused"


class _Loader(yaml.SafeLoader):
    """Truth values are true and false alone, numbers are decimal, dates are text.

    YAML 1.1, which PyYAML reads, also takes yes, no, on and off for truth values, 10:30 for 630 and 02134 for 1116: of
    categories and labels, that makes others. All that PyYAML writes reads back the same.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in ("null", "float", "merge")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile("[-+]?(?:0|[1-9][0-9]*)$"), list("-+0123456789"))


def read_ui(path: Path, spec: Spec) -> Ui:
    """The presentation in the YAML file at `path`, checked against `spec`.

    Raises:
        UiRefused: it can't be read, or a part of it is not as it should be; the message names the part.
    """
    ui = load_ui(path)
    try:
        return check_ui(ui, spec)
    except UiRefused as refusal:
        raise UiRefused(refusal.message.replace("ui.yaml", path.name, 1), fix=refusal.fix) from None


def load_ui(path: Path) -> Any:
    """The YAML file as data, not checked."""
    try:
        return _with_text_keys(yaml.load(path.read_text("utf-8"), _Loader) or {})  # noqa: S506 - a safe one
    except FileNotFoundError as error:
        raise UiRefused(f"there is no file {path}.", fix="give --ui the path of a YAML file.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UiRefused(
            f"{path} can't be read: {' '.join(str(error).split())}.", fix="give --ui a YAML file in UTF-8."
        ) from error


def _with_text_keys(value: Any) -> Any:
    """`value` with the names that YAML takes for numbers or truth values as text: JSON knows no others."""
    if isinstance(value, dict):
        return {str(name): _with_text_keys(item) for name, item in value.items()}
    return [_with_text_keys(item) for item in value] if isinstance(value, list) else value


def check_ui(ui: Any, spec: Spec) -> Ui:
    """`ui` once each part is as it should be; categories that lack only white space around them are given theirs."""
    fields = {field.name: field for field in spec.fields}
    parts: dict[str, Callable[[Any, str], None]] = {
        "title": _text,
        "description": _text,
        "unit": _text,
        "sentence": lambda value, where: _sentence(value, where, IN_SENTENCE),
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
    """What the model can predict; empty where that is no list of labels."""
    return [str(label) for label in spec.decode.get("vocab", ())]


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
        give_white_space(entry, field)
    for name, value in entry.items():
        checks[name](value, f"{where}.{name}")
    if entry.get("hidden") and "default" not in entry and field.default is None:
        raise _refused(where, "is hidden and has no default", "give it one: it is sent with each record.")


def give_white_space(entry: Ui, field: Field) -> None:
    """Forms show ' Private' as Private; so it may be written, where the model would take it for one known category."""
    meant = meant_by(field)
    if "default" in entry:
        entry["default"] = meant(entry["default"])
    if isinstance(entry.get("choices"), dict):
        entry["choices"] = {meant(name): label for name, label in entry["choices"].items()}


def meant_by(field: Field) -> Callable[[Any], Any]:
    """What gives a value the white space that it lacks to be one of the field's categories."""
    known = vocabulary(field.categories)

    def meant(value: Any) -> Any:
        return known.match_ignoring_white_space(value) if isinstance(value, str) else value

    return meant


def check_value(value: Any, where: str, field: Field) -> None:
    """Whether `value`, which stands in `where`, can be sent in `field`.

    Raises:
        UiRefused: it can't.
    """
    if field.kind == NUMBER:
        _number(value, where)
    elif field.kind == CATEGORY:
        known = [json_value(category) for category in field.categories]
        if value is not None and value not in known:
            raise _refused(where, f"is {value!r}, which the model does not know", _nearest(value, known))
    elif field.kind == DATE and value is not None:
        _date(value, where)


def _choices(value: Any, where: str, field: Field) -> None:
    known = {str(json_value(category)) for category in field.categories}
    for name, label in _mapping(value, where, None).items():
        if str(name) not in known:
            raise _refused(where, f"names {name!r}, which the model does not know", _nearest(name, known))
        _text(label, f"{where}.{name}")


def _labels(value: Any, where: str, known: list[str]) -> None:
    for name, entry in _mapping(value, where, None).items():
        if str(name) not in known:
            raise _refused(where, f"names {name!r}, which is not predicted", _nearest(name, known))
        for part, text in _mapping(entry, f"{where}.{name}", ("name", "sentence")).items():
            _sentence(text, f"{where}.{name}.{part}", IN_LABELS if part == "sentence" else set())


def _groups(value: Any, where: str, fields: Iterable[str]) -> None:
    for names, place in _titled(value, where, "fields"):
        _names(names, place, fields)


def _examples(value: Any, where: str, fields: dict[str, Field]) -> None:
    for record, place in _titled(value, where, "record"):
        for name, item in _mapping(record, place, fields).items():
            if isinstance(item, list | dict):
                raise _refused(f"{place}.{name}", "is a list or a mapping", "give it one value.")
            record[name] = meant_by(fields[name])(item)
            if item is not None:  # a field that is left empty
                check_value(record[name], f"{place}.{name}", fields[name])


def _titled(value: Any, where: str, part: str) -> Iterator[tuple[Any, str]]:
    """The `part` of each entry of a list, which has a title too; and where it stands."""
    for number, entry in enumerate(_list(value, where)):
        place = f"{where}[{number}]"
        _mapping(entry, place, ("title", part))
        if {"title", part} - entry.keys():
            raise _refused(place, f"lacks a title or its {part}", "give it both.")
        _text(entry["title"], f"{place}.title")
        yield entry[part], f"{place}.{part}"


def _names(value: Any, where: str, known: Iterable[str]) -> None:
    known = list(known)
    for name in _list(value, where):
        if name not in known:
            raise _refused(where, f"names {name!r}, which is no field", _nearest(name, known))
    if len(set(value)) != len(value):
        raise _refused(where, "names a field twice", "name each once.")


def _mapping(value: Any, where: str, known: Iterable[str] | None) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise _refused(where, f"is {_shown(value)}", "write `name: value` lines.")
    if known is not None:
        known = list(known)
        for name in value:
            if name not in known:
                raise _refused(where, f"has {name!r}, which is not known there", _nearest(name, known))
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise _refused(where, f"is {_shown(value)}", "write a list: lines that begin with a dash.")
    return value


def _text(value: Any, where: str) -> None:
    if not isinstance(value, str) or len(value) > LONGEST:
        raise _refused(where, f"is {_shown(value)}", f"give it a text of at most {LONGEST} characters, in quotes.")


def _boolean(value: Any, where: str) -> None:
    if not isinstance(value, bool):
        raise _refused(where, f"is {_shown(value)}", "say true or false.")


def _number(value: Any, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -FLOAT32_MAX <= value <= FLOAT32_MAX:
        raise _refused(where, f"is {_shown(value)}", f"give it a number of at most {FLOAT32_MAX:.3g} in size.")


def _date(value: Any, where: str) -> None:
    """As `fastmar_runtime.steps.add_datepart` reads it."""
    try:
        datetime.fromisoformat(value.strip())
    except (AttributeError, ValueError):
        raise _refused(where, f"is {_shown(value)}", "write the date as 2024-01-31 or 2024-01-31T08:30:00.") from None


def _sentence(value: Any, where: str, known: set[str]) -> None:
    _text(value, where)
    try:
        parts = [(name, rest, conversion) for _, name, rest, conversion in string.Formatter().parse(value)]
    except ValueError as error:
        raise _refused(where, f"has a brace that is not closed ({error})", "write {{ for a brace.") from error
    for name, rest, conversion in parts:
        if name is not None and (name not in known or rest or conversion):
            may = ", ".join(f"{{{each}}}" for each in sorted(known)) or "nothing"
            raise _refused(where, f"holds {{{name}}}", f"in braces it may hold {may}.")


def _refused(where: str, what: str, fix: str) -> UiRefused:
    return UiRefused(f"in ui.yaml, {where} {what}.", fix=fix)


def _nearest(name: Any, known: Iterable[Any]) -> str:
    """What may have been meant, or what there is."""
    texts = [str(each) for each in known]
    near = difflib.get_close_matches(str(name), texts, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    more = ", ..." if len(texts) > MOST_NAMED else ""
    return f"take one of: {', '.join(map(repr, texts[:MOST_NAMED]))}{more}." if texts else "leave it out."


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
