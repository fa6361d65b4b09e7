"""What changed between two versions of a model, as their archives tell it, and what a caller of the old one will meet.

Three kinds of change: *breaking*, where an old caller's records are refused or its answers mean something else;
*noticed*, where they are answered otherwise, and are told so; *inside*, which no caller sees but in the numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fastmar_contract.values import CATEGORY, DATE, NUMBER
from fastmar_runtime.answers import answer_kind
from fastmar_runtime.report import Report
from fastmar_runtime.schema import json_value, record_schema
from fastmar_runtime.spec import Field, Spec
from fastmar_runtime.steps.categorify import Categorify, vocabulary

BREAKING, NOTICED, INSIDE = "breaking", "noticed", "inside"
LEVELS = (BREAKING, NOTICED, INSIDE)
MOST_NAMED = 8  # categories or labels in a sentence


@dataclass(frozen=True)
class Change:
    """One change.

    Attributes:
        level: one of LEVELS.
        where: the field, or the part of the model.
        what: what it was and is.
        caller: what a caller of the old version will meet; empty where that is nothing.
    """

    level: str
    where: str
    what: str
    caller: str = ""

    def as_dict(self) -> dict[str, str]:
        """For `--json`."""
        return asdict(self)


def changes(old: Spec, new: Spec) -> list[Change]:
    """All changes, breaking ones first."""
    found = [*_model(old, new), *_fields(old, new), *_labels(old, new), *_form(old, new), *_inside(old, new)]
    return sorted(found, key=lambda change: LEVELS.index(change.level))


def _model(old: Spec, new: Spec) -> Iterator[Change]:
    if old.name != new.name:
        yield Change(INSIDE, "name", f"{old.name} is now {new.name}", "another model: it has another URL")
    if old.kind != new.kind:
        yield Change(BREAKING, "kind", f"{old.kind} is now {new.kind}", "every request is refused")
    if old.targets != new.targets:
        what = f"predicts {', '.join(new.targets)} in place of {', '.join(old.targets)}"
        yield Change(BREAKING, "target", what, "answers are about something else")
    yield from _answer(old, new)


def _answer(old: Spec, new: Spec) -> Iterator[Change]:
    """The kind of answer and its shape."""
    was, now = answer_kind(old.decode), answer_kind(new.decode)
    if was.name != now.name:
        what = f"answers are of the kind {now.name}, which were {was.name}"
        yield Change(BREAKING, "answer", what, "answers have another shape")
        return
    before, after = ("x".join(map(str, now.dimensions(spec.outputs[0]))) for spec in (old, new))
    if before != after:
        what = f"the numbers in an answer were {before}, and are {after}"
        yield Change(BREAKING, "answer", what, "answers have another shape")
    if old.decode.get("top") != new.decode.get("top"):
        were, are = (
            "all labels" if top is None else f"the {top} most probable"
            for top in (spec.decode.get("top") for spec in (old, new))
        )
        caller = "answers hold the probabilities of other labels"
        yield Change(BREAKING, "answer", f"probabilities were those of {were}, and are those of {are}", caller)


def _fields(old: Spec, new: Spec) -> Iterator[Change]:
    if old.kind != new.kind:
        return
    demanded = list(_demanded(old, new))
    yield from demanded
    told = {change.where for change in demanded}
    before, after = _accepted(old), _accepted(new)
    for field in new.fields:
        if field.name not in before and field.name not in told:
            yield Change(INSIDE, field.name, _as_new(field), "nothing: it may be left out")
    for field in old.fields:
        # A date has several names, and more than one column may have taken them over.
        taken = [name for name in _names(field) if name in after and not _is_ignored(name, field, after[name])]
        now = {after[name].name: name for name in reversed(taken)}
        if not now:
            yield Change(NOTICED, field.name, f"the {field.kind} is gone", "a warning says that it is not used")
        for name in reversed(now.values()):
            yield from _field(name, field, after[name])


def _demanded(old: Spec, new: Spec) -> Iterator[Change]:
    """What a record must have, and an old caller's need not have."""
    before, after = _accepted(old), _accepted(new)
    were = _demands(old)
    ignored = {name for name, field in before.items() if name in after and _is_ignored(name, field, after[name])}
    always = {demand[0][0] for demand in were if len(demand) == 1} - ignored
    for demand in _demands(new):
        if _meets(always, demand):
            continue
        refused = [[one for one in was if not _meets({*one, *always} - ignored, demand)] for was in were]
        if not all(refused):
            continue  # whatever way the old version was asked, the new one can be
        name = demand[0][0]
        what = "could be left out, and has to be sent now" if name in before else _as_new(after[name])
        if len(demand) > 1:
            *alone, parts = demand
            what = f"must come as {' or '.join(repr(one[0]) for one in alone)}, or as all of {_named(parts)}"
        caller = "records without it are refused, and the error names it"
        for some, was in zip(refused, were, strict=True):
            if len(some) < len(was):  # the same date, of which not all ways to send it are left
                caller = f"records that have only {' or only '.join(map(_named, some))} are refused"
        yield Change(BREAKING, name, what, caller)


def _demands(spec: Spec) -> list[list[list[str]]]:
    """What a record must have, as its schema says it: of each of these, the columns of one alternative."""
    schema = record_schema(spec)
    rules = [[alternative["required"] for alternative in rule["anyOf"]] for rule in schema.get("allOf", ())]
    return [*([[name]] for name in schema.get("required", ())), *rules]


def _meets(columns: set[str], demand: list[list[str]]) -> bool:
    return any(columns.issuperset(alternative) for alternative in demand)


def _is_ignored(name: str, old: Field, new: Field) -> bool:
    """Whether the number that callers send as `name` is no column to the new version, which calls a date so too."""
    return old.kind == NUMBER and new.kind == DATE and name != new.name


def _as_new(field: Field) -> str:
    return f"a new {field.kind}" + (f", such as {json_value(field.default)!r}" if field.default is not None else "")


def _field(name: str, old: Field, new: Field) -> Iterator[Change]:
    if old.kind != new.kind:
        yield Change(BREAKING, name, f"the {old.kind} is now a {new.kind}", "values of the old kind may be refused")
        return
    if old.nullable and not new.nullable:
        yield Change(BREAKING, name, "null was filled, and is not any more", "records with null are refused")
    if new.nullable and not old.nullable:
        yield Change(INSIDE, name, "null was refused, and is filled now")
    if new.optional and not old.optional:
        yield Change(INSIDE, name, "had to be sent, and may be left out now")
    if added := _missing(_names(new), _names(old)):
        yield Change(INSIDE, name, f"may come as {_named(added)} too")
    if new.kind == CATEGORY:
        yield from _categories(old, new)
    if new.kind == NUMBER and old.default != new.default:
        yield Change(INSIDE, name, f"the usual value was {_number(old.default)}, and is {_number(new.default)}")
    if (old.minimum, old.maximum) != (new.minimum, new.maximum):
        was, now = (
            "not known" if f.minimum is None else f"{_number(f.minimum)} to {_number(f.maximum)}" for f in (old, new)
        )
        yield Change(INSIDE, name, f"the range was {was}, and is {now}")


def _categories(old: Field, new: Field) -> Iterator[Change]:
    added, gone = _unknown(new.categories, old), _unknown(old.categories, new)
    if added:
        yield Change(NOTICED, new.name, f"knows {_named(added)}", "no more warning where these were sent")
    if gone:
        yield Change(NOTICED, new.name, f"no longer knows {_named(gone)}", "answered as unknown, with a warning")


def _unknown(categories: Iterable[Any], field: Field) -> list[Any]:
    """Those of `categories`, as a caller sends them, of which the model would warn: what is equal is for it to say."""
    sent = [json_value(each) for each in categories]
    report = Report(len(sent))
    Categorify({field.name: vocabulary(field.categories)})({field.name: sent}, report)
    return [each for each, warnings in zip(sent, report.warnings, strict=True) if warnings]


def _labels(old: Spec, new: Spec) -> Iterator[Change]:
    before, after = (answer_kind(spec.decode).labels(spec.decode) for spec in (old, new))
    added, gone = _missing(after, before), _missing(before, after)
    if gone:
        yield Change(BREAKING, "labels", f"no longer predicts {_named(gone)}", "these are never answered again")
    if added and before:
        yield Change(BREAKING, "labels", f"predicts {_named(added)} too", "answers hold labels that were not known")
    if before != after and not added and not gone:
        yield Change(BREAKING, "labels", "stand in another order", "`index` means another label")
    if old.decode.get("threshold") != new.decode.get("threshold"):
        what = f"the threshold was {old.decode.get('threshold')}, and is {new.decode.get('threshold')}"
        yield Change(NOTICED, "labels", what, "other labels for the same probabilities")
    if old.decode.get("activation") != new.decode.get("activation"):
        what = f"the activation was {old.decode.get('activation')}, and is {new.decode.get('activation')}"
        yield Change(NOTICED, "answer", what, "numbers on another scale")


def _form(old: Spec, new: Spec) -> Iterator[Change]:
    """What ui.yaml said and says."""
    before, after = old.ui or {}, new.ui or {}
    if before and not after:
        caller = "forms show columns' names again; `fastmar migrate-ui` carries the old ui.yaml over"
        yield Change(NOTICED, "form", "was worded by a ui.yaml, and is not any more", caller)
        return
    for part in [*before, *(part for part in after if part not in before)]:
        if before.get(part) != after.get(part):
            how = "is gone" if part not in after else "is new" if part not in before else "changed"
            yield Change(INSIDE, "form", f"its {part} {how}")


def _inside(old: Spec, new: Spec) -> Iterator[Change]:
    before, after = _steps(old), _steps(new)
    for name in [*before, *(name for name in after if name not in before)]:
        if name not in after:
            yield Change(INSIDE, f"step {name}", "is gone")
        elif name not in before:
            yield Change(INSIDE, f"step {name}", "is new")
        else:
            yield from _state(name, before[name], after[name])
    if old.kind != new.kind:
        return
    shapes = [[(t.name, t.dtype, t.shape) for t in (*spec.inputs, *spec.outputs)] for spec in (old, new)]
    if shapes[0] != shapes[1]:
        yield Change(INSIDE, "network", f"{_shapes(old)} was, {_shapes(new)} is")


def _state(name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Change]:
    """Numbers that a step keeps for each column: fillings, means, deviations; of other state only that it changed."""
    for key in {**old, **new}:
        before, after = old.get(key), new.get(key)
        if before == after or key == "vocabularies":  # told with the field's categories
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            for column in (column for column in before if column in after):
                if before[column] != after[column]:
                    what = f"{_one(key)} was {_number(before[column])}, and is {_number(after[column])}"
                    yield Change(INSIDE, column, what)
        elif isinstance(before, list) or isinstance(after, list):
            yield Change(INSIDE, f"step {name}", f"{key} changed")
        else:
            yield Change(INSIDE, f"step {name}", f"{key} was {_number(before)}, and is {_number(after)}")


def _steps(spec: Spec) -> dict[str, dict[str, Any]]:
    """Steps and layers by their names; there may be several dates, each with a step."""
    steps = [(step["step"], step) for step in spec.steps] + [(layer["layer"], layer) for layer in spec.layers]
    return {f"{name} {state['date']}" if "date" in state else name: state for name, state in steps}


def _names(field: Field) -> tuple[str, ...]:
    """All names that a column may come under."""
    return (field.name, *field.aliases)


def _accepted(spec: Spec) -> dict[str, Field]:
    """The fields by all names that they may come under; a column's own name comes before another's alias."""
    aliases = {alias: field for field in spec.fields for alias in field.aliases}
    return aliases | {field.name: field for field in spec.fields}


def _missing(from_these: Sequence[str], in_those: Sequence[str]) -> list[str]:
    known = set(in_those)
    return [each for each in from_these if each not in known]


def _named(values: Iterable[Any]) -> str:
    values = list(values)
    more = f" and {len(values) - MOST_NAMED} more" if len(values) > MOST_NAMED else ""
    return ", ".join(repr(value) for value in values[:MOST_NAMED]) + more


def _number(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _one(key: str) -> str:
    """The name of one of what `means`, `stds`, `fills` hold."""
    return {"means": "the mean", "stds": "the standard deviation", "fills": "what null becomes"}.get(key, key)


def _shapes(spec: Spec) -> str:
    return ", ".join(f"{t.name} {'x'.join(map(str, t.shape))}" for t in (*spec.inputs, *spec.outputs))
