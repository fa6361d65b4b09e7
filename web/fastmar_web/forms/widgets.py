"""The field of a property: its widget, choices, limits and default."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from fastmar_client.json_schema import types_of
from fastmar_web.forms.category_order import in_order
from fastmar_web.forms.dates import date_input_value
from fastmar_web.forms.fields import Choice, Field
from fastmar_web.presentation import Presentation, choice_labels, display_text, plain_number

JSON = dict[str, Any]
MAX_SELECT = 12  # options of a plain select box; longer ones get a search


def field_of(
    identity: str, name: str, schema: JSON, presentation: Presentation, *, timed: bool, required: bool
) -> Field:
    """The field of a property of the record.

    Args:
        identity: id of its element in the page.
        name: the name of the property.
        schema: the schema of the property.
        presentation: the presentation of the model.
        timed: whether a date has a time.
        required: whether a record must have the property.
    """
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
    # Without reference data, the default is a mean such as 38.44 years, which is rounded.
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


def _number_text(value: Any) -> str:
    return plain_number(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""
