"""The summary of a model that a notebook shows, made from its schema."""

from __future__ import annotations

from html import escape
from typing import Any

COLUMNS = 20  # in the table
CATEGORIES = 4  # of a column


def summary_html(schema: dict[str, Any]) -> str:
    """HTML: name, version and targets of the model, and a row for each column of its records."""
    columns = schema["record"].get("properties", {})
    rows = [(name, _what(column)) for name, column in columns.items()]
    if len(rows) > COLUMNS:
        rows = [*rows[:COLUMNS], (f"and {len(rows) - COLUMNS} more", "")]
    table = "".join(
        f"<tr><th style='text-align:left'>{escape(name)}</th><td style='text-align:left'>{escape(what)}</td></tr>"
        for name, what in rows
    )
    head = f"{schema['name']} {schema['version']}: {schema['kind']}"
    targets = f"<p>Predicts {escape(', '.join(map(str, schema['targets'])))}.</p>" if schema.get("targets") else ""
    return f"<h4>{escape(head)}</h4>{targets}<table>{table}</table>"


def _what(column: dict[str, Any]) -> str:
    """A column in words: its kind, and its first categories or its default."""
    details = column.get("x-fastmar", {})
    categories = details.get("categories")
    kind = str(details.get("kind") or column.get("type", ""))
    if categories:
        count = details.get("category_count", len(categories))
        more = f", ... ({count} in all)" if count > CATEGORIES else ""
        return f"{kind}: {', '.join(str(value).strip() for value in categories[:CATEGORIES])}{more}"
    return f"{kind}, for example {column['default']}" if "default" in column else kind
