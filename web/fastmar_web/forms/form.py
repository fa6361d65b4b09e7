"""The form of a model, made from its schema: fields, their widgets, and their groups."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from fastmar_client.json_schema import types_of
from fastmar_web.forms.category_order import in_order
from fastmar_web.presentation import Presentation, choice_labels, display_text, format_number, plain_number

JSON = dict[str, Any]

MAX_SELECT = 12  # options of a plain select box; longer ones get a search
DATES = ("date", "datetime-local")  # widgets for dates
NUMBERS = "Numbers"  # title of a group
_KINDS = ("Categories", NUMBERS, "Dates", "Texts")  # titles of groups, in their order
MIN_GROUPED = 6  # fields of a form that is grouped by kind; a shorter one is clear without groups
NO_VALUE = "(no value)"  # the empty option of a select box
YES = "yes"  # value of a checked checkbox, in forms and links
_YEARS = (1000, 2999)
_TIMES = ("Hour", "Minute", "Second")  # suffixes of the parts of a date that need a time


@dataclass(frozen=True, slots=True)
class Choice:
    """A known category.

    Attributes:
        key: its text in forms and links: unique, and without surrounding white space.
        label: the text that is shown.
        value: the value for the model.
    """

    key: str
    label: str
    value: Any


@dataclass(frozen=True, slots=True)
class Field:
    """The field of one column.

    Attributes:
        id: id of its element in the page.
        name: name of the column, and of the parameter in forms and links.
        label, help, unit: texts that are shown.
        widget: "select", "suggest" (free text with suggestions), "checkbox", "number", "date", "datetime-local",
            "json", "textarea", "text".
        default: text of the default.
        choices: options of select and suggest.
        is_searchable: whether a select box gets a search.
        is_clearable: whether an emptied search chooses no value, and not the previous value again.
        nullable: whether the value may be null.
        optional: whether an empty field is left out of the record.
        has_blank: whether a select box has an option for no value.
        types: JSON types of the value; empty for columns of tables.
        minimum, maximum, step: limits from ui.yaml or the JSON Schema, as texts; may be empty.
        arrow_step: change of a number by an arrow key.
        usual_range: range of the reference data, if the export had some.
        training: typical value (mean or median) and standard deviation of the training data, if they are known.
        slider: range of the slider beside a number; None without a slider.
        likely_range: a range in which many numbers are, for random examples; None if it is unknown.
        hidden: whether it is sent with its default and not shown.
        numeric: whether the known categories of a suggest are numbers, so that entered text is converted to one.
    """

    id: str
    name: str
    label: str
    widget: str
    default: str = ""
    help: str = ""
    unit: str = ""
    choices: tuple[Choice, ...] = ()
    is_searchable: bool = False
    is_clearable: bool = False
    nullable: bool = False
    minimum: str = ""
    maximum: str = ""
    step: str = ""
    arrow_step: str = "1"
    usual_range: tuple[float, float] | None = None
    training: tuple[float, float] | None = None
    slider: tuple[float, float] | None = None
    likely_range: tuple[float, float] | None = None
    hidden: bool = False
    numeric: bool = False
    optional: bool = False
    has_blank: bool = True
    types: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the default and the limits of a number are whole: then other values probably are, too."""
        known = [self.default, *(self.usual_range or ())]
        return self.widget == "number" and all(_is_whole(value) for value in known)

    @property
    def is_year(self) -> bool:
        """Whether a number is probably a year: whole, and in a range of 1000 to 2999."""
        low, high = self.usual_range or self.likely_range or (0.0, 0.0)
        return self.is_whole and low >= _YEARS[0] and high <= _YEARS[1]

    @property
    def number_hint(self) -> str:
        """How to enter a number, and in which range it is, as far as that is known."""
        if self.numeric:
            numbers = [choice.value for choice in self.choices]
            return f"{self.label} is a number from {plain_number(min(numbers))} to {plain_number(max(numbers))}."
        if self.minimum and self.maximum:
            text = f" from {self.minimum} to {self.maximum}"
        elif self.usual_range:
            text = ", usually from {} to {}".format(*map(self.number_text, self.usual_range))
        else:
            text = f" such as {self.default}" if self.default else ""
        return f"Enter digits, without letters or commas. {self.label} is a number{text}."

    def number_text(self, value: float) -> str:
        """A number of this field as a sentence shows it; a year has no thousands separator."""
        text = format_number(value)
        return text.replace(",", "") if self.is_year else text

    @property
    def typical_text(self) -> str:
        """The default as the page shows it."""
        if self.widget == "checkbox":
            return "yes" if self.default else "no"
        if self.widget != "select":
            return self.default
        first = NO_VALUE if self.has_blank or not self.choices else self.choices[0].label
        return next((choice.label for choice in self.choices if choice.key == self.default), first)

    def choice(self, text: str) -> Choice | None:
        """The category with this key, value or label; surrounding white space is ignored."""
        if not text:
            return None
        for spelling in (text, text.strip()):
            for match in (
                next((c for c in self.choices if c.key == spelling), None),
                next((c for c in self.choices if isinstance(c.value, str) and c.value == spelling), None),
                next((c for c in self.choices if c.label == spelling), None),
            ):
                if match:
                    return match
        return None

    def key_of(self, value: Any) -> str:
        """The text of a record's value in forms and links."""
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
            return date_input_value(self.widget, str(value)) or str(value)
        if isinstance(value, bool):
            return str(int(value)) if self.widget == "number" else str(value)
        return plain_number(value) if isinstance(value, int | float) else str(value)


@dataclass(frozen=True, slots=True)
class Group:
    """Fields under one title; the title may be empty."""

    title: str
    fields: tuple[Field, ...]

    @property
    def is_numbers(self) -> bool:
        """Whether all fields are numbers, which need less width."""
        return all(each.widget == "number" for each in self.fields)


@dataclass(frozen=True, slots=True)
class Form:
    """The form of a model.

    Attributes:
        groups: the visible fields, in order.
        fields: all fields by name, also hidden ones.
        parts: columns that the model computes from a date of the form, so they have no field.
    """

    groups: tuple[Group, ...]
    fields: dict[str, Field] = field(default_factory=dict)
    parts: frozenset[str] = frozenset()


def make_form(schema: JSON, presentation: Presentation) -> Form:
    """The form for the records of a model."""
    properties: JSON = schema["record"].get("properties", {})
    required = schema["record"].get("required", [])
    parts = computed_columns(schema)
    names = [name for name in properties if name not in parts]
    timed = any(part.endswith(_TIMES) for part in parts)
    fields = {
        name: _field(f"f{position}", name, properties[name], presentation, timed=timed, required=name in required)
        for position, name in enumerate(names)
    }
    shown = [name for name in names if not fields[name].hidden]
    titled = presentation.groups(shown)
    is_table = not any(fields[name].types for name in shown)
    if is_table and not presentation.is_arranged and len(shown) >= MIN_GROUPED:
        titled = _by_kind([fields[name] for name in shown])
    groups = tuple(Group(title, tuple(fields[name] for name in members)) for title, members in titled)
    return Form(groups, fields, frozenset(parts))


def _by_kind(fields: list[Field]) -> list[tuple[str, list[str]]]:
    """Groups of the fields with the same kind of widget; one group without a title if all have the same kind."""
    found = [(title, [each.name for each in fields if _title_of(each) == title]) for title in _KINDS]
    groups = [(title, names) for title, names in found if names]
    return groups if len(groups) > 1 else [("", [each.name for each in fields])]


def _title_of(each: Field) -> str:
    if each.widget == "number":
        return NUMBERS
    if each.widget in DATES:
        return "Dates"
    return "Categories" if each.choices or each.widget == "checkbox" else "Texts"


def date_rules(schema: JSON) -> list[list[list[str]]]:
    """For each date that the model splits into parts: the sets of columns of which a record needs one."""
    rules = schema["record"].get("allOf", [])
    return [[[str(name) for name in each.get("required", [])] for each in rule.get("anyOf", [])] for rule in rules]


def dates(schema: JSON) -> list[str]:
    """Columns with a date that the model splits into parts."""
    properties = schema["record"].get("properties", {})
    singles = [names[0] for sets in date_rules(schema) for names in sets if len(names) == 1]
    return [name for name in singles if properties.get(name, {}).get("x-fastmar", {}).get("kind") == "date"]


def computed_columns(schema: JSON) -> set[str]:
    """Columns that the model computes from a date of the record."""
    properties = schema["record"].get("properties", {})
    found: set[str] = set()
    for sets in date_rules(schema):
        if any(len(names) == 1 and names[0] in properties for names in sets):
            found.update(name for names in sets if len(names) > 1 for name in names)
    return found


def date_input_value(widget: str, text: str) -> str | None:
    """The value of a date input for an ISO 8601 date or time; None for other texts.

    Browsers show nothing for a date in a "datetime-local" input, or for a time in a "date" input. An offset from UTC is
    dropped, since a model uses the time as it is written.
    """
    moment = date_of(text)
    if moment is None:
        return None
    if widget == "date":
        return moment.date().isoformat()
    return moment.isoformat(timespec="seconds" if moment.second else "minutes")


def date_of(text: str) -> datetime | None:
    """The date and time of an ISO 8601 text, without its offset from UTC; None for other texts."""
    try:
        return datetime.fromisoformat(text.strip()).replace(tzinfo=None)
    except ValueError:
        return None


def _field(identity: str, name: str, schema: JSON, presentation: Presentation, *, timed: bool, required: bool) -> Field:
    options, details = presentation.field(name), schema.get("x-fastmar", {})
    kind = details.get("kind")
    types = types_of(schema)
    default = options.get("default", schema.get("default"))
    common: dict[str, Any] = {
        "id": identity,
        "name": name,
        "label": presentation.label(name),
        "help": str(options.get("help") or ""),
        "unit": str(options.get("unit") or ""),
        "hidden": options.get("hidden") is True and default is not None,
        "nullable": "null" in types,
    }
    if kind == "category":
        return _category(common, details, options, default)
    if kind == "number":
        return _number(common, details, options, default, schema.get("default"))
    if kind == "date":
        widget = "datetime-local" if timed else "date"
        text = date_input_value(widget, str(default)) or ""
        common["hidden"] = common["hidden"] and text != ""  # an invalid default must be visible to be corrected
        return Field(**common, widget=widget, default=text)
    return _by_type(common | {"types": types, "optional": not required}, schema, options, default)


def _by_type(common: JSON, schema: JSON, options: JSON, default: Any) -> Field:
    """The field of a property that is described by its JSON Schema only."""
    types = {*common["types"]} - {"null"}
    common["help"] = common["help"] or str(schema.get("description") or "")
    values = schema.get("enum") or ([True, False] if types == {"boolean"} and common["nullable"] else [])
    if values:
        common["nullable"] = common["nullable"] or None in values
        choices = _choices([value for value in values if value is not None], choice_labels(options))
        blank = common["nullable"] or common["optional"]
        form_field = Field(
            **common, widget="select", choices=choices, is_searchable=len(choices) > MAX_SELECT, has_blank=blank
        )
    elif types == {"boolean"}:
        form_field = Field(**common, widget="checkbox")
    elif types and types <= {"number", "integer", "boolean"}:
        minimum, maximum = (_number_text(options.get(bound, schema.get(bound))) for bound in ("minimum", "maximum"))
        step = _number_text(options.get("step", 1 if types == {"integer"} else None))
        form_field = Field(
            **common, widget="number", minimum=minimum, maximum=maximum, step=step, arrow_step=step or "1"
        )
    elif types and types <= {"object", "array"}:
        form_field = Field(**common, widget="json")
        if default is None and not (form_field.optional or form_field.nullable):
            default = {} if "object" in types else []
    else:
        long = schema.get("x-fastmar", {}).get("kind") == "text" or types & {"object", "array"}
        form_field = Field(**common, widget="textarea" if long else "text")
    return _with_default(form_field, default)


def _category(common: JSON, details: JSON, options: JSON, default: Any) -> Field:
    values = in_order(details.get("categories", []))
    count = int(details.get("category_count", len(values)))
    choices = _choices(values, choice_labels(options))
    numeric = bool(values) and all(type(value) in (int, float) for value in values)
    form_field = Field(
        **common,
        widget="select" if count <= len(values) else "suggest",
        choices=choices,
        is_searchable=count > MAX_SELECT,
        numeric=numeric,
    )
    return _with_default(form_field, default)


def _choices(values: list[Any], labels: dict[str, str]) -> tuple[Choice, ...]:
    """A choice for each category, with unique keys; the empty key means no value."""
    keys = {""}
    choices = []
    for value in values:
        text = display_text(value)
        label = labels.get(str(value).strip()) or labels.get(text) or text or "(empty)"
        key = text if text not in keys else f"{text} ({type(value).__name__} {value!r})".strip()
        while key in keys:
            key += "'"
        keys.add(key)
        choices.append(Choice(key, label, value))
    return tuple(choices)


def _number(common: JSON, details: JSON, options: JSON, default: Any, typical: Any) -> Field:
    spread = details.get("standard_deviation")
    arrow_step = 10.0 ** math.floor(math.log10(spread / 10)) if isinstance(spread, int | float) and spread > 0 else 1.0
    minimum, maximum = details.get("minimum"), details.get("maximum")
    usual_range = (float(minimum), float(maximum)) if minimum is not None and maximum is not None else None
    limits: tuple[Any, Any] = (options.get("minimum", minimum), options.get("maximum", maximum))
    has_limits = all(map(_number_text, limits)) and limits[0] < limits[1]
    # Without a reference table the default is a mean such as 38.44 years, which is rounded.
    is_mean = "default" not in options and usual_range is None and isinstance(default, int | float)
    form_field = Field(
        **common,
        widget="number",
        minimum=_number_text(options.get("minimum")),
        maximum=_number_text(options.get("maximum")),
        step=_number_text(options.get("step")),
        arrow_step=_number_text(options.get("step")) or plain_number(round(arrow_step, 12)),
        usual_range=usual_range,
        training=(float(typical), float(spread)) if usual_range is None and _number_text(typical) and spread else None,
        slider=(float(limits[0]), float(limits[1])) if has_limits else None,
        likely_range=_likely_range(default, spread, *limits),
    )
    return _with_default(form_field, round(float(default), -round(math.log10(arrow_step))) if is_mean else default)


def _likely_range(default: Any, spread: Any, minimum: Any, maximum: Any) -> tuple[float, float] | None:
    """One standard deviation on each side of the default, within the limits; not below 0 if the default is above it."""
    if not (_number_text(default) and _number_text(spread)):
        return None
    low: float = minimum if _number_text(minimum) else 0.0 if default >= 0 else -math.inf
    high: float = maximum if _number_text(maximum) else math.inf
    return max(default - spread, low), min(default + spread, high)


def _with_default(form_field: Field, default: Any) -> Field:
    return replace(form_field, default=form_field.key_of(default))


def _is_whole(value: float | str) -> bool:
    try:
        return float(value).is_integer()
    except ValueError:
        return False


def _number_text(value: Any) -> str:
    return plain_number(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""
