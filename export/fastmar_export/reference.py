"""The reference data: typical records, from which defaults and ranges of the fields and the profile are computed.

Only statistics go into the archive: the median, minimum and maximum of a number column, the most frequent category of a
category column, and the counts of the profile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from fastmar_contract.errors import FastmarError, RecordError
from fastmar_contract.faults import MISSING_COLUMN
from fastmar_contract.values import CATEGORY, FLOAT32_MAX, NUMBER
from fastmar_export.bundle import Bundle
from fastmar_export.conversion import model_notice
from fastmar_export.errors import ExportError
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles.building import build_reference
from fastmar_runtime.profiles.records import record_batches
from fastmar_runtime.schema import json_value
from fastmar_runtime.spec import Field, Spec

NO_PROFILE = "no_profile"
"""Code of the notice that no record could be predicted."""

_BATCH = 4096


def refine(spec: Spec, path: Path) -> tuple[Field, ...]:
    """The fields of `spec` with defaults and ranges from the reference data at `path`; see `read_reference`."""
    if not any(field.kind in (NUMBER, CATEGORY) for field in spec.fields):
        return spec.fields
    records = [row for row in read_reference(path, spec) if not isinstance(row, RecordError)]
    return tuple(_refine(field, [record.get(field.name) for record in records]) for field in spec.fields)


def read_reference(path: Path, spec: Spec) -> list[Any]:
    """The records at `path`, with a `RecordError` in place of one that can't be read.

    Raises:
        ExportError: they can't be read.
    """
    try:
        return [record for batch in record_batches(path, spec, _BATCH) for record in batch]
    except FastmarError as error:
        raise _unreadable(path, error) from error


def add_profile(bundle: Bundle, path: Path, on_stage: Callable[[str], None]) -> Bundle:
    """`bundle` with the profile of the reference data at `path`; a notice instead if no record can be predicted.

    Raises:
        ExportError: they can't be read.
    """
    predictor = Predictor(bundle.spec, bundle.graph)

    def on_progress(done: int) -> None:
        on_stage(f"Counting the reference data: {done:,} records")

    try:
        batches = record_batches(path, bundle.spec, predictor.preprocess.chunk)
        profile = build_reference(predictor, batches, on_progress)
    except FastmarError as error:
        raise _unreadable(path, error) from error
    if profile is None:
        message = "no record of the reference data can be predicted, so the archive has no profile of them"
        notice = model_notice(NO_PROFILE, f"{message}{_why(path, predictor)}.")
        return replace(bundle, spec=replace(bundle.spec, notices=(*bundle.spec.notices, notice)))
    return replace(bundle, profile=profile)


def _why(path: Path, predictor: Predictor) -> str:
    """The reason why the first record is refused, as the end of a sentence. It contains no value: it is published."""
    first = next(record_batches(path, predictor.spec, 1), [])
    if not first:
        return ": there are no records"
    error = predictor.predict(first)[0].get("error", {})
    if error.get("code") == MISSING_COLUMN:
        return f": {error['message'].removesuffix('.')}. Fix: {error['fix'].removesuffix('.')}"
    return f": the first one is refused with {error.get('code')}, in {error.get('field')!r}"


def _unreadable(path: Path, error: FastmarError) -> ExportError:
    return ExportError(f"--reference {path}: {error.message}", fix=error.fix, code="reference_unreadable")


def _refine(field: Field, values: list[Any]) -> Field:
    if field.kind == NUMBER:
        numbers = [v for v in values if isinstance(v, int | float) and -FLOAT32_MAX <= v <= FLOAT32_MAX]
        if numbers:
            return replace(field, default=median(numbers), minimum=min(numbers), maximum=max(numbers))
    if field.kind == CATEGORY:
        known = {json_value(category) for category in field.categories}
        common = Counter(v for v in values if v in known).most_common(1)
        if common:
            return replace(field, default=common[0][0])
    return field
