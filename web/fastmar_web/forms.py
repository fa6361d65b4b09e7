"""A form made from a model's schema: its fields, what each is asked with, and how they are grouped."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from fastmar_client.json_schema import types_of
from fastmar_web.presentation import Presentation, number, trimmed

JSON = dict[str, Any]

SEARCHED = 12  # categories in a plain select box; more are searched
DATES = ("date", "datetime-local")  # widgets
YES = "yes"  # a checkbox that is ticked, in forms and links
_TIMES = ("Hour", "Minute", "Second")  # parts of a date that a day alone does not tell


@dataclass(frozen=True, slots=True)
class Choice:
    """A known category.

    Attributes:
        key: its text in the form and in links: without white space around it, and different from all others.
        label: for the eye.
        value: for the model.
    """

    key: str
    label: str
    value: Any


@dataclass(frozen=True, slots=True)
class Field:
    """One column.

    Attributes:
        id: of the element in the page.
        name: the column's, and the parameter's in forms and links.
        label, help, unit: for the eye.
        widget: "select", "suggest" (any text, some proposed), "checkbox", "number", "date", "datetime-local", "json",
            "textarea", "text".
        default: as the form has it.
        choices: of select and suggest.
        searched: whether there are so many that one looks for them.
        nullable: whether it may be left empty.
        optional: whether it is left out of the record where it is empty.
        blank: of a select, whether it has an option for no value.
        types: JSON types of the value; empty for columns of tables.
        least, most, step: what the owner allows, for the browser to check; texts, may be empty.
        nudge: by how much a number changes with the arrow keys.
        usual: the range of the reference data, where the export had some.
        hidden: sent with its default and not shown.
    """

    id: str
    name: str
    label: str
    widget: str
    default: str = ""
    help: str = ""
    unit: str = ""
    choices: tuple[Choice, ...] = ()
    searched: bool = False
    nullable: bool = False
    least: str = ""
    most: str = ""
    step: str = ""
    nudge: str = "1"
    usual: tuple[float, float] | None = None
    hidden: bool = False
    numeric: bool = False  # suggest: the known categories are numbers, so what is typed is one
    optional: bool = False
    blank: bool = True
    types: tuple[str, ...] = ()

    def choice(self, text: str) -> Choice | None:
        """The category that `text` means: by its key, its value or its label, white space apart. "" is no value."""
        if not text:
            return None
        for wanted in (text, text.strip()):
            for found in (
                next((c for c in self.choices if c.key == wanted), None),
                next((c for c in self.choices if isinstance(c.value, str) and c.value == wanted), None),
                next((c for c in self.choices if c.label == wanted), None),
            ):
                if found:
                    return found
        return None

    def key_of(self, value: Any) -> str:
        """`value`, a part of a record, as the form has it."""
        same = next((c for c in self.choices if type(c.value) is type(value) and c.value == value), None)
        same = same or next((c for c in self.choices if c.value == value), None)
        if same or value is None:
            return same.key if same else ""
        if self.widget == "checkbox":
            return YES if value else ""
        if self.widget == "json" or isinstance(value, dict | list):
            return json.dumps(value, ensure_ascii=False)
        if isinstance(value, str) and (found := self.choice(value)):
            return found.key
        if self.widget in DATES:
            return as_input(self.widget, str(value)) or str(value)
        if isinstance(value, bool):
            return str(int(value)) if self.widget == "number" else str(value)
        return number(value) if isinstance(value, int | float) else str(value)


@dataclass(frozen=True, slots=True)
class Group:
    """Fields under one title, which may be empty."""

    title: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a model.

    Attributes:
        groups: what is shown, in order.
        fields: all of them by name, hidden ones too.
        parts: columns that are computed from a date of the form, and so are not asked for.
    """

    groups: tuple[Group, ...]
    fields: dict[str, Field] = field(default_factory=dict)
    parts: frozenset[str] = frozenset()


def make_form(schema: JSON, presentation: Presentation) -> Form:
    """The form for a record of the model."""
    properties: JSON = schema["record"].get("properties", {})
    required = schema["record"].get("required", [])
    parts = computed(schema)
    names = [name for name in properties if name not in parts]
    timed = any(part.endswith(_TIMES) for part in parts)
    fields = {
        name: _field(f"f{position}", name, properties[name], presentation, timed=timed, required=name in required)
        for position, name in enumerate(names)
    }
    shown = [name for name in names if not fields[name].hidden]
    groups = tuple(
        Group(title, tuple(fields[name] for name in members)) for title, members in presentation.groups(shown)
    )
    return Form(groups, fields, frozenset(parts))


def date_rules(schema: JSON) -> list[list[list[str]]]:
    """For each date that the model takes apart: the sets of columns of which a record needs one."""
    rules = schema["record"].get("allOf", [])
    return [[[str(name) for name in each.get("required", [])] for each in rule.get("anyOf", [])] for rule in rules]


def computed(schema: JSON) -> set[str]:
    """Columns that need not be sent, since the model computes them from a date of the record."""
    properties = schema["record"].get("properties", {})
    found: set[str] = set()
    for sets in date_rules(schema):
        if any(len(names) == 1 and names[0] in properties for names in sets):
            found.update(name for names in sets if len(names) > 1 for name in names)
    return found


def as_input(widget: str, text: str) -> str | None:
    """An ISO 8601 date, with or without a time, as a browser's `widget` of `DATES` reads it; None for other texts.

    Browsers show nothing for a day in a "datetime-local", or for a time in a "date". An offset from UTC goes: a model
    takes the time that is written.
    """
    try:
        moment = datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        return None
    if widget == "date":
        return moment.date().isoformat()
    return moment.isoformat(timespec="seconds" if moment.second else "minutes")


def _field(identity: str, name: str, schema: JSON, presentation: Presentation, *, timed: bool, required: bool) -> Field:
    told, own = presentation.field(name), schema.get("x-fastmar", {})
    kind = own.get("kind")
    types = types_of(schema)
    default = told.get("default", schema.get("default"))
    common: dict[str, Any] = {
        "id": identity,
        "name": name,
        "label": presentation.label(name),
        "help": str(told.get("help") or ""),
        "unit": str(told.get("unit") or ""),
        "hidden": told.get("hidden") is True and default is not None,
        "nullable": "null" in types,
    }
    if kind == "category":
        return _category(common, own, told, default)
    if kind == "number":
        return _number(common, own, told, default)
    if kind == "date":
        widget = "datetime-local" if timed else "date"
        text = as_input(widget, str(default)) or ""
        shown = common | {"hidden": common["hidden"] and text != ""}  # what is no date can't be sent unseen
        return Field(**shown, widget=widget, default=text)
    return _by_type(common | {"types": types, "optional": not required}, schema, told, default)


def _by_type(common: JSON, schema: JSON, told: JSON, default: Any) -> Field:
    """The field of a value that only its JSON Schema describes."""
    types = {*common["types"]} - {"null"}
    common["help"] = common["help"] or str(schema.get("description") or "")
    values = schema.get("enum") or ([True, False] if types == {"boolean"} and common["nullable"] else [])
    if values:
        common["nullable"] = common["nullable"] or None in values
        choices = _choices([value for value in values if value is not None], _labels(told))
        blank = common["nullable"] or common["optional"]
        made = Field(**common, widget="select", choices=choices, searched=len(choices) > SEARCHED, blank=blank)
    elif types == {"boolean"}:
        made = Field(**common, widget="checkbox")
    elif types and types <= {"number", "integer", "boolean"}:
        least, most = (_given(told.get(bound, schema.get(bound))) for bound in ("minimum", "maximum"))
        step = _given(told.get("step", 1 if types == {"integer"} else None))
        made = Field(**common, widget="number", least=least, most=most, step=step, nudge=step or "1")
    elif types and types <= {"object", "array"}:
        made = Field(**common, widget="json")
        if default is None and not (made.optional or made.nullable):
            default = {} if "object" in types else []
    else:
        long = schema.get("x-fastmar", {}).get("kind") == "text" or types & {"object", "array"}
        made = Field(**common, widget="textarea" if long else "text")
    return _with_default(made, default)


def _category(common: JSON, own: JSON, told: JSON, default: Any) -> Field:
    values = own.get("categories", [])
    count = int(own.get("category_count", len(values)))
    choices = _choices(values, _labels(told))
    numeric = bool(values) and all(type(value) in (int, float) for value in values)
    made = Field(
        **common,
        widget="select" if count <= len(values) else "suggest",
        choices=choices,
        searched=count > SEARCHED,
        numeric=numeric,
    )
    return _with_default(made, default)


def _labels(told: JSON) -> dict[str, str]:
    """The owner's names of choices."""
    labels = told.get("choices")
    return {str(key).strip(): str(label) for key, label in labels.items()} if isinstance(labels, dict) else {}


def _choices(values: list[Any], labels: dict[str, str]) -> tuple[Choice, ...]:
    """A choice for each category, with keys that differ; the empty key stands for no value."""
    taken = {""}
    found = []
    for value in values:
        text = trimmed(value)
        label = labels.get(str(value).strip()) or labels.get(text) or text or "(empty)"
        key = text if text not in taken else f"{text} ({type(value).__name__} {value!r})".strip()
        while key in taken:
            key += "'"
        taken.add(key)
        found.append(Choice(key, label, value))
    return tuple(found)


def _number(common: JSON, own: JSON, told: JSON, default: Any) -> Field:
    spread = own.get("standard_deviation")
    nudge = 10.0 ** math.floor(math.log10(spread / 10)) if isinstance(spread, int | float) and spread > 0 else 1.0
    least, most = own.get("minimum"), own.get("maximum")
    usual = (float(least), float(most)) if least is not None and most is not None else None
    # Without a reference table the default is a mean: 38.44 years. Nobody starts from that.
    mean = "default" not in told and usual is None and isinstance(default, int | float)
    made = Field(
        **common,
        widget="number",
        least=_given(told.get("minimum")),
        most=_given(told.get("maximum")),
        step=_given(told.get("step")),
        nudge=_given(told.get("step")) or number(round(nudge, 12)),
        usual=usual,
    )
    return _with_default(made, round(float(default), -round(math.log10(nudge))) if mean else default)


def _with_default(made: Field, default: Any) -> Field:
    return replace(made, default=made.key_of(default))


def _given(value: Any) -> str:
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""
