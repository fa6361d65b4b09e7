"""Migrates a ui.yaml to a new version of its model: keeps the entries that still apply, and reports the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastmar_contract.faults import list_names
from fastmar_contract.values import CATEGORY, NUMBER
from fastmar_export.presentation import (
    Ui,
    UiRefused,
    check_ui,
    check_value,
    labels_of,
    restore_whitespace,
    whitespace_restorer,
)
from fastmar_runtime.schema import json_value
from fastmar_runtime.spec import Field, Spec

_ONLY_OF = {"choices": CATEGORY, "minimum": NUMBER, "maximum": NUMBER, "step": NUMBER}
"""Keys of an entry that apply to one kind of field only."""


@dataclass
class Migration:
    """The result of a migration.

    Attributes:
        ui: the migrated ui.yaml.
        dropped: entries of the old file that do not apply to the model.
        unnamed: fields, labels and categories of the model without an entry, which get default names; categories only
            of fields that have names of others.
    """

    ui: Ui
    dropped: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)


def migrate_ui(ui: Any, spec: Spec) -> Migration:
    """Migrate `ui` to the model of `spec`.

    Raises:
        UiRefused: `ui` is invalid for any model.
    """
    try:
        migrated = _migrate(ui, spec)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UiRefused(
            f"the old ui.yaml is invalid ({error}).", fix="pass the file that the old model was exported with."
        ) from error
    check_ui(migrated.ui, spec)
    return migrated


def _migrate(ui: Ui, spec: Spec) -> Migration:
    fields, labels = {each.name: each for each in spec.fields}, labels_of(spec)
    migrated = Migration({})
    for part, value in ui.items():
        kept = value
        if part == "order":
            kept = _known(value, fields, part, migrated)
        elif part == "groups":
            kept = [_group(group, f"{part}[{number}]", fields, migrated) for number, group in enumerate(value)]
            kept = [group for group in kept if group["fields"]]
        elif part == "fields":
            known = _entries(value, fields, part, migrated)
            kept = {name: _field(entry, f"{part}.{name}", fields[name], migrated) for name, entry in known.items()}
        elif part == "labels":
            kept = _entries(value, labels, part, migrated)
        elif part == "examples":
            kept = [_example(example, f"{part}[{n}]", fields, migrated) for n, example in enumerate(value)]
            kept = [example for example in kept if example["record"]]
        if kept not in ({}, []) or value in ({}, []):
            migrated.ui[part] = kept
    migrated.unnamed += [f"field {name}" for name in fields if name not in ui.get("fields", {})]
    migrated.unnamed += [f"label {name}" for name in labels if name not in map(str, ui.get("labels", {}))]
    return migrated


def _entries(value: Any, known: Any, where: str, migrated: Migration) -> dict[Any, Any]:
    migrated.dropped += [f"{where}.{name}" for name in value if str(name) not in known]
    return {name: entry for name, entry in value.items() if str(name) in known}


def _known(names: Any, known: Any, where: str, migrated: Migration) -> list[Any]:
    migrated.dropped += [f"{where}: {name}" for name in names if name not in known]
    return [name for name in names if name in known]


def _group(group: Any, where: str, fields: dict[str, Field], migrated: Migration) -> dict[str, Any]:
    return {**group, "fields": _known(group["fields"], fields, f"{where}.fields", migrated)}


def _field(entry: Any, where: str, known: Field, migrated: Migration) -> dict[str, Any]:
    """The entry of a field without keys for another kind of field, and without removed categories."""
    kept = dict(entry)
    for name in entry:
        if known.kind != _ONLY_OF.get(name, known.kind):
            migrated.dropped.append(f"{where}.{name}")
            del kept[name]
    if known.kind == CATEGORY:
        restore_whitespace(kept, known)
        if "choices" in kept:
            texts = [str(json_value(category)) for category in known.categories]
            kept["choices"] = _entries(kept["choices"], texts, f"{where}.choices", migrated)
            if unnamed := [text for text in texts if text not in map(str, kept["choices"])]:
                migrated.unnamed.append(f"choices of {known.name}: {list_names(unnamed)}")
    if "default" in kept and not _is_accepted(kept["default"], known):
        migrated.dropped.append(f"{where}.default: {kept.pop('default')!r}")
    if kept.get("hidden") and "default" not in kept and known.default is None:  # a hidden field sends its default
        migrated.dropped.append(f"{where}.hidden")
        del kept["hidden"]
    return kept


def _example(example: Any, where: str, fields: dict[str, Field], migrated: Migration) -> dict[str, Any]:
    where = f"{where}.record"
    record = _entries(example["record"], fields, where, migrated)
    kept = {}
    for name, item in record.items():
        value = whitespace_restorer(fields[name])(item)
        if value is None or _is_accepted(value, fields[name]):
            kept[name] = value
        else:
            migrated.dropped.append(f"{where}.{name}: {value!r}")
    return {**example, "record": kept}


def _is_accepted(value: Any, known: Field) -> bool:
    """Whether the model accepts `value` in a field."""
    try:
        check_value(value, "", known)
    except UiRefused:
        return False
    return True
