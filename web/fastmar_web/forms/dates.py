"""Dates in forms: the columns that the model computes from them, and their texts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

JSON = dict[str, Any]
DATES = ("date", "datetime-local")  # widgets for dates


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
