"""The columnar form of the steps of tables.

A step whose rule is about one value, such as Categorify, is called with the distinct values of a column, so that the
rule exists once. Arithmetic is done in float64 on whole columns, in the order of the step's own expression.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastmar_bulk.columns import ABSENT, Coded, Columns, Findings, Numbers
from fastmar_runtime.columns import MISSING
from fastmar_runtime.report import Report
from fastmar_runtime.steps.add_datepart import AddDatepart
from fastmar_runtime.steps.categorify import Categorify
from fastmar_runtime.steps.fill_missing import FillMissing
from fastmar_runtime.steps.normalize import Normalize
from fastmar_runtime.steps.read_tab_batch import ReadTabBatch


class NotColumnar(Exception):
    """The columns have a form that the columnar rules do not cover: the table is encoded as records."""


def fill_missing(step: FillMissing, columns: Columns, findings: Findings) -> None:  # noqa: ARG001
    """See `FillMissing`."""
    for name, fill in step.fills.items():
        column = _numbers(columns, name)
        nulls = column.nulls
        if nulls is not None:
            columns[name] = Numbers(np.where(nulls, fill, column.values))
        if step.add_col:
            flags = np.zeros(len(column.values), dtype=np.intp) if nulls is None else nulls.astype(np.intp)
            columns[f"{name}_na"] = Coded(flags, [False, True])


def categorify(step: Categorify, columns: Columns, findings: Findings) -> None:
    """See `Categorify`."""
    for name, known in step.vocabularies.items():
        column = columns[name]
        if not isinstance(column, Coded):
            raise NotColumnar
        report = Report(len(column.values))
        codes = Categorify({name: known})({name: column.values}, report)[name]
        findings.add_warnings(column, report.warnings)
        columns[name] = Coded(column.positions, codes)


def normalize(step: Normalize, columns: Columns, findings: Findings) -> None:  # noqa: ARG001
    """See `Normalize`."""
    for name, mean in step.means.items():
        column = _numbers(columns, name)
        with np.errstate(all="ignore"):  # an overflow is found by `read_tab_batch`
            columns[name] = Numbers((column.values - mean) / step.stds[name], column.nulls)


def add_datepart(step: AddDatepart, columns: Columns, findings: Findings) -> None:
    """See `AddDatepart`. Parts are computed if their whole column is absent."""
    date = columns.pop(step.date)
    absent = [part for part in step.parts if columns[step.prefix + part] is ABSENT]
    if not absent:
        return
    if not isinstance(date, Coded):
        raise NotColumnar
    size = len(date.values)
    batch = {step.prefix + part: [MISSING if part in absent else None] * size for part in step.parts}
    report = Report(size)
    computed = step({**batch, step.date: date.values}, report)
    findings.add_warnings(date, report.warnings)
    findings.mark_values(date, list(report.errors))
    for part in absent:
        columns[step.prefix + part] = Coded(date.positions, computed[step.prefix + part])


def read_tab_batch(step: ReadTabBatch, columns: Columns, findings: Findings) -> dict[str, Any]:
    """See `ReadTabBatch`. Rows with a number that is not finite are marked as unusual."""
    size = len(findings.unusual)
    inputs: dict[str, Any] = {}
    if step.cats:
        codes = inputs["x_cat"] = np.empty((size, len(step.cats)), dtype=np.int64)
        for at, name in enumerate(step.cats):
            column = columns[name]
            if not isinstance(column, Coded):
                raise NotColumnar
            codes[:, at] = column.spread(np.array(column.values, dtype=np.int64))
    if step.conts:
        conts = inputs["x_cont"] = np.empty((size, len(step.conts)), dtype=np.float32)
        for at, name in enumerate(step.conts):
            numbers = _numbers(columns, name)
            with np.errstate(over="ignore"):
                conts[:, at] = numbers.values
            if numbers.nulls is not None:
                conts[numbers.nulls, at] = np.nan
        finite = np.isfinite(conts)
        if not finite.all():
            findings.unusual |= ~finite.all(axis=1)
    return inputs


RULES: dict[type, Callable[[Any, Columns, Findings], dict[str, Any] | None]] = {
    AddDatepart: add_datepart,
    Categorify: categorify,
    FillMissing: fill_missing,
    Normalize: normalize,
    ReadTabBatch: read_tab_batch,
}
"""The columnar form of each class of steps. It changes the columns in place; the last step returns the graph's inputs.
Tables of a model with another step are encoded as records."""


def _numbers(columns: Columns, name: str) -> Numbers:
    column = columns[name]
    if isinstance(column, Coded):
        return column.numbers()
    if not isinstance(column, Numbers):
        raise NotColumnar
    return column
