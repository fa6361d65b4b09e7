"""Changes between two versions of a model, read from their archives, and their effects on callers of the old one.

Levels: *breaking* if old callers' records are refused or answers change their meaning; *noticed* if answers or warnings
differ visibly; *inside* if only numbers differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fastmar_contract.values import CATEGORY, DATE, NUMBER
from fastmar_runtime.answers import answer_kind
from fastmar_runtime.operations.kinds import options
from fastmar_runtime.report import Report
from fastmar_runtime.schema import json_value, record_schema
from fastmar_runtime.spec import Field, Spec
from fastmar_runtime.steps.categorify import Categorify, vocabulary

BREAKING, NOTICED, INSIDE = "breaking", "noticed", "inside"
LEVELS = (BREAKING, NOTICED, INSIDE)
MAX_LISTED = 8  # categories or labels in a message


@dataclass(frozen=True)
class Change:
    """One change.

    Attributes:
        level: one of LEVELS.
        where: the field, or the part of the model.
        what: the change from old to new.
        caller: the effect on a caller of the old version; empty if there is none.
    """

    level: str
    where: str
    what: str
    caller: str = ""

    def as_dict(self) -> dict[str, str]:
        """The output of `--json`."""
        return asdict(self)


def changes(old: Spec, new: Spec) -> list[Change]:
    """All changes, breaking ones first."""
    found = [*_model(old, new), *_fields(old, new), *_labels(old, new), *_form(old, new), *_inside(old, new)]
    return sorted(found, key=lambda change: LEVELS.index(change.level))


def _model(old: Spec, new: Spec) -> Iterator[Change]:
    if old.name != new.name:
        yield Change(INSIDE, "name", f"{old.name} is now {new.name}", "the URL changes")
    if old.kind != new.kind:
        yield Change(BREAKING, "kind", f"{old.kind} is now {new.kind}", "every request is refused")
    if old.targets != new.targets:
        what = f"predicts {', '.join(new.targets)} instead of {', '.join(old.targets)}"
        yield Change(BREAKING, "target", what, "answers have another meaning")
    for option in options(old):
        if option not in options(new):
            yield Change(BREAKING, option, f"{option!r} was removed", f"records with {option!r} get another answer")
    yield from _answer(old, new)


def _answer(old: Spec, new: Spec) -> Iterator[Change]:
    """The kind of answer and its shape."""
    was, now = answer_kind(old.decode), answer_kind(new.decode)
    if was.name != now.name:
        what = f"the kind of answer changed from {was.name} to {now.name}"
        yield Change(BREAKING, "answer", what, "answers have another shape")
        return
    before, after = ("x".join(map(str, now.dimensions(spec.outputs[0]))) for spec in (old, new))
    if before != after:
        what = f"the size of an answer changed from {before} to {after}"
        yield Change(BREAKING, "answer", what, "answers have another shape")
    if old.decode.get("top") != new.decode.get("top"):
        were, are = (
            "all labels" if top is None else f"the {top} most probable"
            for top in (spec.decode.get("top") for spec in (old, new))
        )
        caller = "answers have the probabilities of other labels"
        yield Change(BREAKING, "answer", f"the labels with probabilities changed from {were} to {are}", caller)


def _fields(old: Spec, new: Spec) -> Iterator[Change]:
    if old.kind != new.kind:
        return
    required = list(_newly_required(old, new))
    yield from required
    reported = {change.where for change in required}
    before, after = _fields_by_name(old), _fields_by_name(new)
    for field in new.fields:
        if field.name not in before and field.name not in reported:
            yield Change(INSIDE, field.name, _describe_new(field), "none: it is optional")
    for field in old.fields:
        # A date has several names, which may belong to several columns of the new version.
        names = [name for name in _all_names(field) if name in after and not _is_ignored(name, field, after[name])]
        successors = {after[name].name: name for name in reversed(names)}
        if not successors:
            yield Change(NOTICED, field.name, f"the {field.kind} was removed", "records with it get a warning")
        for name in reversed(successors.values()):
            yield from _field(name, field, after[name])


def _newly_required(old: Spec, new: Spec) -> Iterator[Change]:
    """Columns that the new version requires, and records of old callers may lack."""
    before, after = _fields_by_name(old), _fields_by_name(new)
    old_requirements = _requirements(old)
    ignored = {name for name, field in before.items() if name in after and _is_ignored(name, field, after[name])}
    always = {requirement[0][0] for requirement in old_requirements if len(requirement) == 1} - ignored
    for requirement in _requirements(new):
        if _satisfies(always, requirement):
            continue
        refused = [
            [alternative for alternative in was if not _satisfies({*alternative, *always} - ignored, requirement)]
            for was in old_requirements
        ]
        if not all(refused):
            continue  # each record that the old version accepts has these columns
        name = requirement[0][0]
        what = "was optional, and is required" if name in before else _describe_new(after[name])
        if len(requirement) > 1:
            *single, parts = requirement
            what = f"must be sent as {' or '.join(repr(one[0]) for one in single)}, or as all of {_listed(parts)}"
        caller = "records without it are refused, and the error names it"
        for some, was in zip(refused, old_requirements, strict=True):
            if len(some) < len(was):  # a date, of which the new version accepts fewer forms
                caller = f"records that have only {' or only '.join(map(_listed, some))} are refused"
        yield Change(BREAKING, name, what, caller)


def _requirements(spec: Spec) -> list[list[list[str]]]:
    """The required columns of a record, from its schema: for each requirement the alternative sets of columns."""
    schema = record_schema(spec)
    rules = [[alternative["required"] for alternative in rule["anyOf"]] for rule in schema.get("allOf", ())]
    return [*([[name]] for name in schema.get("required", ())), *rules]


def _satisfies(columns: set[str], requirement: list[list[str]]) -> bool:
    return any(columns.issuperset(alternative) for alternative in requirement)


def _is_ignored(name: str, old: Field, new: Field) -> bool:
    """Whether the new version ignores the number that old callers send as `name`, since it is an alias of a date."""
    return old.kind == NUMBER and new.kind == DATE and name != new.name


def _describe_new(field: Field) -> str:
    return f"a new {field.kind}" + (f", such as {json_value(field.default)!r}" if field.default is not None else "")


def _field(name: str, old: Field, new: Field) -> Iterator[Change]:
    if old.kind != new.kind:
        yield Change(BREAKING, name, f"the {old.kind} is now a {new.kind}", "values of the old kind may be refused")
        return
    if old.nullable and not new.nullable:
        yield Change(BREAKING, name, "null was filled, and is refused", "records with null are refused")
    if new.nullable and not old.nullable:
        yield Change(INSIDE, name, "null was refused, and is filled")
    if new.optional and not old.optional:
        yield Change(INSIDE, name, "was required, and is optional")
    if added := _missing(_all_names(new), _all_names(old)):
        yield Change(INSIDE, name, f"may also be sent as {_listed(added)}")
    if new.kind == CATEGORY:
        yield from _categories(old, new)
    if new.kind == NUMBER and old.default != new.default:
        yield Change(INSIDE, name, f"the default changed from {_number(old.default)} to {_number(new.default)}")
    if (old.minimum, old.maximum) != (new.minimum, new.maximum):
        was, now = (
            "unknown" if f.minimum is None else f"{_number(f.minimum)} to {_number(f.maximum)}" for f in (old, new)
        )
        yield Change(INSIDE, name, f"the range changed: {was} before, {now} now")


def _categories(old: Field, new: Field) -> Iterator[Change]:
    added, gone = _unknown(new.categories, old), _unknown(old.categories, new)
    if added:
        yield Change(NOTICED, new.name, f"also knows {_listed(added)}", "records with these get no warning")
    if gone:
        yield Change(NOTICED, new.name, f"no longer knows {_listed(gone)}", "treated as unknown, with a warning")


def _unknown(categories: Iterable[Any], field: Field) -> list[Any]:
    """Those of `categories` that cause a warning, by the model's own matching rules."""
    sent = [json_value(each) for each in categories]
    report = Report(len(sent))
    Categorify({field.name: vocabulary(field.categories)})({field.name: sent}, report)
    return [each for each, warnings in zip(sent, report.warnings, strict=True) if warnings]


def _labels(old: Spec, new: Spec) -> Iterator[Change]:
    before, after = (answer_kind(spec.decode).labels(spec.decode) for spec in (old, new))
    added, gone = _missing(after, before), _missing(before, after)
    if gone:
        yield Change(BREAKING, "labels", f"no longer predicts {_listed(gone)}", "answers never have these labels")
    if added and before:
        yield Change(BREAKING, "labels", f"also predicts {_listed(added)}", "answers may have these labels")
    if before != after and not added and not gone:
        yield Change(BREAKING, "labels", "the order changed", "`index` refers to another label")
    if old.decode.get("threshold") != new.decode.get("threshold"):
        what = f"the threshold changed from {old.decode.get('threshold')} to {new.decode.get('threshold')}"
        yield Change(NOTICED, "labels", what, "the same probabilities give other labels")
    if old.decode.get("activation") != new.decode.get("activation"):
        what = f"the activation changed from {old.decode.get('activation')} to {new.decode.get('activation')}"
        yield Change(NOTICED, "answer", what, "numbers have another scale")


def _form(old: Spec, new: Spec) -> Iterator[Change]:
    """Changes of ui.yaml."""
    before, after = old.ui or {}, new.ui or {}
    if before and not after:
        caller = "forms show column names again; `fastmar migrate-ui` adds the old ui.yaml to the new archive"
        yield Change(NOTICED, "form", "the old archive has a ui.yaml, and the new one has none", caller)
        return
    for part in [*before, *(part for part in after if part not in before)]:
        if before.get(part) != after.get(part):
            how = "was removed" if part not in after else "was added" if part not in before else "changed"
            yield Change(INSIDE, "form", f"{part} {how}")


def _inside(old: Spec, new: Spec) -> Iterator[Change]:
    before, after = _steps(old), _steps(new)
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in after:
            yield Change(INSIDE, f"step {name}", "was removed")
        elif name not in before:
            yield Change(INSIDE, f"step {name}", "was added")
        else:
            yield from _state(name, before[name], after[name])
    if old.kind != new.kind:
        return
    shapes = [[(t.name, t.dtype, t.shape) for t in (*spec.inputs, *spec.outputs)] for spec in (old, new)]
    if shapes[0] != shapes[1]:
        yield Change(INSIDE, "network", f"inputs and outputs changed from {_shapes(old)} to {_shapes(new)}")


def _state(name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """Changed numbers of a step, such as means and fill values; other changed state without its content."""
    for key in {**old, **new}:
        before, after = old.get(key), new.get(key)
        if before == after or key == "vocabularies":  # reported by `_categories`
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            for column in (column for column in before if column in after):
                if before[column] != after[column]:
                    what = f"{_singular(key)} changed from {_number(before[column])} to {_number(after[column])}"
                    yield Change(INSIDE, column, what)
        elif isinstance(before, list) or isinstance(after, list):
            yield Change(INSIDE, f"step {name}", f"{key} changed")
        else:
            yield Change(INSIDE, f"step {name}", f"{key} changed from {_number(before)} to {_number(after)}")


def _steps(spec: Spec) -> dict[str, dict[str, Any]]:
    """Steps and layers by name; the steps of dates also have the date's name."""
    steps = [(step["step"], step) for step in spec.steps] + [(layer["layer"], layer) for layer in spec.layers]
    return {f"{name} {state['date']}" if "date" in state else name: state for name, state in steps}


def _all_names(field: Field) -> tuple[str, ...]:
    """The name and the aliases of a column."""
    return (field.name, *field.aliases)


def _fields_by_name(spec: Spec) -> dict[str, Field]:
    """The fields by name and alias; a name takes precedence over another field's alias."""
    aliases = {alias: field for field in spec.fields for alias in field.aliases}
    return aliases | {field.name: field for field in spec.fields}


def _missing(from_these: Sequence[str], in_those: Sequence[str]) -> list[str]:
    known = set(in_those)
    return [each for each in from_these if each not in known]


def _listed(values: Iterable[Any]) -> str:
    values = list(values)
    more = f" and {len(values) - MAX_LISTED} more" if len(values) > MAX_LISTED else ""
    return ", ".join(repr(value) for value in values[:MAX_LISTED]) + more


def _number(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _singular(key: str) -> str:
    """What a message calls one entry of `means`, `stds` or `fills`."""
    return {"means": "the mean", "stds": "the standard deviation", "fills": "the fill value for null"}.get(key, key)


def _shapes(spec: Spec) -> str:
    return ", ".join(f"{t.name} {'x'.join(map(str, t.shape))}" for t in (*spec.inputs, *spec.outputs))
