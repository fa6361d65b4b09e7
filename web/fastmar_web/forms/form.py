"""The form of a model, made from its schema: groups of fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastmar_web.forms.dates import DATES, computed_columns
from fastmar_web.forms.fields import Field
from fastmar_web.forms.widgets import field_of
from fastmar_web.presentation import Presentation

JSON = dict[str, Any]
NUMBERS = "Numbers"  # title of a group
_KINDS = ("Categories", NUMBERS, "Dates", "Texts")  # titles of groups, in their order
MIN_GROUPED = 6  # fields of a form that is grouped by kind; a shorter one is clear without groups
_TIMES = ("Hour", "Minute", "Second")  # suffixes of the parts of a date that need a time


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
        name: field_of(f"f{position}", name, properties[name], presentation, timed=timed, required=name in required)
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
