"""Drafts a ui.yaml with all fields and labels of a model, to be changed by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from fastmar_contract.display import humanize
from fastmar_contract.values import CATEGORY, DATE, NUMBER
from fastmar_export.presentation import labels_of
from fastmar_runtime.record_schemas import json_value
from fastmar_runtime.spec import Field, Spec

_CATEGORIES = 20  # of a field, in the suggestion of `choices`
_UNIT = '# unit: ""    # shown after the number, such as kg'


def draft_ui(spec: Spec) -> str:
    """YAML that `check_ui` accepts: titles as a form shows them, and comments with what can be added."""
    return "\n".join(_lines(spec)) + "\n"


def _lines(spec: Spec) -> Iterator[str]:
    yield f"# How forms show {_scalar(spec.name)}. To use it: fastmar export LEARNER.pkl --name NAME --ui ui.yaml"
    yield "# All entries are optional. Lines with # are suggestions: remove the # to use one."
    yield f"title: {_scalar(humanize(spec.name))}"
    yield "# description: What the model predicts, and for whom."
    yield '# accent: "#0b6e80"    # colour of buttons and links; adapted where its contrast is too low'
    yield "# logo: logo.svg    # PNG or SVG, from the folder of this file"
    if spec.fields:
        first = _scalar(spec.fields[0].name)
        yield f"# order: [{first}]    # other fields follow in the order of the model"
        yield f"# groups: [{{title: First, fields: [{first}]}}]"
        yield "fields:"
    for field in spec.fields:
        yield from _field(field)
    labels = labels_of(spec)
    if labels:
        yield "labels:"
    else:
        yield '# sentence: "Prediction: {prediction} {unit}"'
        yield _UNIT
    for label in labels:
        yield f"  {_scalar(label)}:"
        yield f"    name: {_scalar(' '.join(label.split()) or label)}"
        yield '    # sentence: "Prediction: {name}, {percent} sure"'
    if spec.fields:
        field = spec.fields[0]
        yield "# examples:    # one click fills in the form"
        yield f"#   - {{title: An example, record: {{{_scalar(field.name)}: {_scalar(_default(field))}}}}}"


def _field(field: Field) -> Iterator[str]:
    yield f"  {_scalar(field.name)}:    # {_describe(field)}"
    yield f"    label: {_scalar(humanize(field.name))}"
    yield "    # help: What the value means."
    default = _default(field)
    if default is not None:
        yield f"    # default: {_scalar(default)}"
    if field.kind == NUMBER:
        yield f"    {_UNIT}"
        for name, value in (("minimum", field.minimum), ("maximum", field.maximum)):
            yield f"    # {name}: {_scalar(0 if value is None else value)}"
        yield f"    # step: {_step(field)}"
    if field.kind == CATEGORY and field.categories:
        texts = [str(json_value(category)) for category in field.categories[:_CATEGORIES]]
        if left_out := len(field.categories) - len(texts):
            yield f"    # The first {len(texts)} categories; {left_out:,} more can be added."
        yield f"    # choices: {{{', '.join(f'{_scalar(text)}: {_scalar(text.strip())}' for text in texts)}}}"
    if default is not None:
        yield "    # hidden: true    # not shown; sent with its default"


def _default(field: Field) -> Any:
    if field.kind == CATEGORY and field.default not in field.categories:
        return json_value(field.categories[0]) if field.categories else None
    return json_value(field.default)


def _step(field: Field) -> float:
    """1 for a column whose known numbers are whole, 0.01 for another one."""
    known = (value for value in (field.default, field.minimum, field.maximum) if value is not None)
    return 1 if all(float(value).is_integer() for value in known) else 0.01


def _describe(field: Field) -> str:
    """The kind of a field, and what the model knows about its values."""
    text = field.kind
    if field.kind == CATEGORY:
        text += f", {len(field.categories)} known"
    elif field.minimum is not None and field.maximum is not None:
        text += f", {field.minimum:g} to {field.maximum:g} in the reference data"
    elif field.kind == DATE:
        text += ", as 2024-01-31"
    return text + (", may be left out" if field.optional else "") + (", may be empty" if field.nullable else "")


def _scalar(value: Any) -> str:
    """A value on one line; texts in quotes, so that YAML reads them as texts."""
    style = '"' if isinstance(value, str) else None
    text: str = yaml.safe_dump(value, default_style=style, allow_unicode=True, width=float("inf"))
    return text.strip().removesuffix("...").strip()
