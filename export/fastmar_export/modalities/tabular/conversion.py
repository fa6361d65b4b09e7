"""Converts tabular learners: procs to steps, and columns to fields."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from fastmar_contract.date_parts import ELAPSED, date_names
from fastmar_contract.faults import list_names
from fastmar_contract.values import CATEGORY, DATE, NUMBER
from fastmar_export.conversion import Conversion, State
from fastmar_export.converters import converter_of
from fastmar_export.errors import UnsupportedLearner, UnsupportedTransform
from fastmar_export.learner import Learner, transforms
from fastmar_export.modalities.tabular.column_names import integer_names_notice, recorded_names
from fastmar_export.modalities.tabular.converters.add_datepart import (
    Typical,
    add_datepart,
    parts_without_date,
    typical_date,
)
from fastmar_export.modalities.tabular.table import TABLE, Table
from fastmar_export.modalities.tabular.typical_category import typical_category
from fastmar_export.networks.wrappers import unwrapped
from fastmar_export.reader import Record
from fastmar_export.targets import REGRESSION, TARGET_TRANSFORMS
from fastmar_runtime.schema import json_value as as_sent
from fastmar_runtime.spec import Field

COLLAB = "fastai.collab.TabularCollab"
POSITIONS = {
    "fastai.tabular.core.TabularPandas": ("x_cat", "x_cont"),
    COLLAB: ("x_cat",),
}
"""Arguments of the network's forward, by the class of the dataset."""

_EPOCH = datetime(1970, 1, 1)
_DIGITS = 4  # significant digits of a default, which is only an example


def convert_tabular(learner: Learner) -> Conversion:
    """Fields and steps of a tabular learner, whose dataset is of a class in `POSITIONS`.

    Raises:
        UnsupportedTransform: a proc or batch transform has no converter.
        UnsupportedLearner: the names of the table's columns are not strings or integers, or are ambiguous; or the
            network does not read all columns.
    """
    dataset = learner.dataset
    table = Table(cats=recorded_names(dataset, "cat_names"), conts=recorded_names(dataset, "cont_names"))
    targets = tuple(recorded_names(dataset, "y_names"))
    if (notice := integer_names_notice(dataset)) is not None:
        table.notices.append(notice)
    steps: list[State] = []
    target_transforms: list[Record] = []
    for index, proc in enumerate(transforms(dataset.get("procs"))):
        if isinstance(proc, Record) and proc.path in TARGET_TRANSFORMS:
            target_transforms.append(proc)
        else:
            steps.append(_step(proc, f"dls.procs[{index}]", table))
    _refuse_target_among_inputs(table, targets, target_transforms)
    positions = POSITIONS[dataset.path]
    _refuse_unread_numbers(table, positions)
    for name in ("after_item", "before_batch"):
        for index, transform in enumerate(transforms(learner.loader.get(name))):
            raise UnsupportedTransform(f"dls.{name}[{index}]", getattr(transform, "path", type(transform).__name__))
    for index, transform in enumerate(transforms(learner.loader.get("after_batch"))):
        steps.append(_step(transform, f"dls.after_batch[{index}]", table))
    _check_categories_encoded(table, steps)
    typical = _typical_numbers(learner, table, steps)
    columns = _sent_columns(table, steps)
    dates = add_datepart(columns, targets, typical, _vocabularies(steps))
    for date in dates:
        table.notice(
            date["date"],
            "date_taken_apart",
            f"columns such as {date['prefix'] + date['parts'][0]!r} look like the output of add_datepart: a record may "
            f"contain the date itself, as {date['date']!r}, and these columns are then computed as in fastai.",
        )
        elapsed = date["prefix"] + ELAPSED
        if elapsed in columns and ELAPSED not in date["parts"]:
            table.notice(
                elapsed,
                "elapsed_unit_unknown",
                f"the unit of {elapsed!r} is not known from the learner: a record must contain it as a number, as in "
                f"the training table, even if it contains {date['date']!r}.",
            )
    for parts in parts_without_date(columns, dates):
        table.notice(
            None,
            "date_parts_required",
            f"{list_names(parts)} look like parts of a date: a record must contain them, and not the date.",
        )
    fields = _fields(table, steps, dates, typical, targets)
    return Conversion(
        fields=fields,
        steps=tuple(dates + steps),
        positions=positions,
        target_transforms=target_transforms,
        targets=targets,
        notices=table.notices,
        user_and_item=(table.cats[0], table.cats[1]) if dataset.path == COLLAB and len(table.cats) == 2 else None,
    )


def _step(record: Any, where: str, table: Table) -> State:
    """The step for `record`, the transform at `where`."""
    convert = converter_of(record, where, TABLE)
    if record.get("split_idx") is not None or "encodes" in record.attrs:
        # fastai skips such a transform in one of the two splits, or runs the user's code instead.
        raise UnsupportedTransform(
            where,
            record.path,
            why="whose split_idx or encodes was set on the instance",
            fix="restore fastai's values (del proc.encodes; proc.split_idx = None), and export again.",
            code="instance_attribute",
        )
    return convert(record, where, table)


def _refuse_target_among_inputs(table: Table, targets: tuple[str, ...], target_transforms: list[Record]) -> None:
    """Refuse an encoded target that is also an input, because it would be encoded among the inputs too."""
    both = [name for name in targets if name in (*table.cats, *table.conts)]
    if both and any(transform.path != REGRESSION for transform in target_transforms):
        raise UnsupportedLearner(
            f"the column {both[0]!r} is a target and an input.",
            fix="remove it from cat_names and cont_names, train again and export that learner.",
            code="target_is_input",
        )


def _refuse_unread_numbers(table: Table, positions: tuple[str, ...]) -> None:
    if table.conts and "x_cont" not in positions:
        raise UnsupportedLearner(
            f"the column {table.conts[0]!r} is one of cont_names, and fastai does not pass numbers to a network of "
            "collaborative filtering.",
            fix="make the data with CollabDataLoaders, or without cont_names, train and export again.",
            code="numbers_not_read",
        )


def _check_categories_encoded(table: Table, steps: list[State]) -> None:
    encoded = {name for step in steps if step["step"] == "categorify" for name in step["vocabularies"]}
    missing = [name for name in table.cats if name not in encoded]
    if missing:
        raise UnsupportedLearner(
            f"the category column {missing[0]!r} has no vocabulary, because Categorify is not one of the procs.",
            fix="train with procs=[Categorify, FillMissing, Normalize], or move the column to cont_names.",
            code="no_vocabulary",
        )


def _vocabularies(steps: list[State]) -> dict[str, list[Any]]:
    return {n: v for step in steps if step["step"] == "categorify" for n, v in step["vocabularies"].items()}


def _fills(steps: list[State]) -> dict[str, float]:
    return {name: value for step in steps if step["step"] == "fill_missing" for name, value in step["fills"].items()}


def _sent_columns(table: Table, steps: list[State]) -> list[str]:
    """Columns that a caller sends: all except FillMissing's flags."""
    flags = {
        f"{name}_na" for step in steps if step["step"] == "fill_missing" and step["add_col"] for name in step["fills"]
    }
    return [name for name in (*table.cats, *table.conts) if name not in flags]


def _typical_numbers(learner: Learner, table: Table, steps: list[State]) -> Typical:
    """Mean and standard deviation of number columns, from Normalize or else from the network's batch norm.

    The running statistics of a batch norm start at mean 0 and variance 1. The share of these initial values is removed.
    """
    for step in steps:
        if step["step"] == "normalize":
            return {name: (step["means"][name], step["stds"][name]) for name in table.conts}
    model = unwrapped(learner.model)
    norm = model.get("_modules", {}).get("bn_cont") if isinstance(model, Record) else None
    if not isinstance(norm, Record):
        return {}
    buffers = norm.get("_buffers", {})
    try:
        means, variances = buffers["running_mean"].tolist(), buffers["running_var"].tolist()
        first = (1 - norm.get("momentum")) ** buffers["num_batches_tracked"].item()  # share of the initial values
        return {
            name: (mean / (1 - first), max(0.0, (variance - first) / (1 - first)) ** 0.5)
            for name, mean, variance in zip(table.conts, means, variances, strict=True)
        }
    except (KeyError, AttributeError, ValueError, TypeError, ZeroDivisionError):  # another network, or never trained
        return {}


def _fields(
    table: Table, steps: list[State], dates: list[State], typical: Typical, targets: tuple[str, ...]
) -> tuple[Field, ...]:
    vocabularies = _vocabularies(steps)
    fills = _fills(steps)
    columns = _sent_columns(table, steps)
    from_dates = {date["prefix"] + part for date in dates for part in date["parts"]}
    fields = []
    for date in dates:
        about = typical_date(date, typical, vocabularies)
        fields.append(_date_field(date, {*columns, *targets}, {*vocabularies, *fills}, about))
    for name in columns:
        optional = name in from_dates
        if name in vocabularies:
            categories = tuple(vocabularies[name])
            default = typical_category([as_sent(category) for category in categories])
            fields.append(Field(name, CATEGORY, optional=optional, categories=categories, default=default))
        else:
            mean, std = typical.get(name, (None, None))
            default = fills.get(name, None if mean is None else float(f"{mean:.{_DIGITS}g}"))
            fields.append(Field(name, NUMBER, name in fills, optional, default=default, spread=std))
    return tuple(fields)


def _date_field(date: State, taken: set[str], nullable_columns: set[str], about: tuple[float, float] | None) -> Field:
    """The field of a date that may be sent instead of its parts.

    It is nullable if all parts are. `about` is mean and standard deviation of the date, in days since 1970.
    """
    parts = [date["prefix"] + part for part in date["parts"]]
    aliases = tuple(name for name in date_names(date["prefix"]) if name not in taken and name != date["date"])
    field = Field(date["date"], DATE, nullable_columns.issuperset(parts), optional=True, aliases=aliases)
    if about is None:
        return field
    days, spread = about
    try:
        return replace(field, default=(_EPOCH + timedelta(days=days)).date().isoformat(), spread=spread)
    except (OverflowError, ValueError):  # not a date, because the training table had no real years
        return field
