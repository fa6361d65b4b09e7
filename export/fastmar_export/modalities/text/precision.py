"""Reduces the precision of a model of texts to int8, and measures on the user's texts how much its answers change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastmar_contract.agreement import difference, prediction_changed
from fastmar_contract.errors import RecordError
from fastmar_export.bundle import Bundle
from fastmar_export.conversion import model_notice
from fastmar_export.errors import ExportError
from fastmar_export.networks.quantization import quantize_lstm
from fastmar_export.options import Options
from fastmar_export.reference import read_reference
from fastmar_runtime.golden import OUTPUT, GoldenRecords, check_golden, subsample
from fastmar_runtime.predictor import Predictor

INT8 = "int8"
MAX_CHANGED = 0.02  # share of predictions that may change
_CHANGED_NUMBER = 0.01  # relative difference above which a predicted number counts as changed

Answer = dict[str, Any]


def check_precision(options: Options) -> None:
    """Check the options of the precision.

    Raises:
        ExportError: an option is invalid, or the texts to measure with are missing.
    """
    if options.precision not in (None, INT8):
        raise ExportError(
            f"--precision is {options.precision!r}.", fix=f"use {INT8}, or omit it.", code="invalid_precision"
        )
    if options.precision and options.reference is None:
        raise ExportError(
            f"--precision {INT8} changes answers, and there are no texts to measure by how much.",
            fix="pass typical texts with --reference TEXTS.csv.",
            code="precision_without_reference",
        )


def reduce_precision(bundle: Bundle, options: Options) -> Bundle:
    """`bundle` with LSTM layers in int8, new golden answers, and a notice with the measured change.

    Raises:
        ExportError: more predictions change than the options allow, or no reference text can be scored.
    """
    assert options.reference is not None  # noqa: S101 - for the type checker: `check_precision` ensures it
    graph = quantize_lstm(bundle.graph)
    exact, reduced = Predictor(bundle.spec, bundle.graph), Predictor(bundle.spec, graph)
    rows = read_reference(options.reference, bundle.spec)
    records = [row for row in rows if not isinstance(row, RecordError)]
    changed, largest, count = _compare(exact.predict(records), reduced.predict(records))
    limit = MAX_CHANGED if options.max_changed is None else options.max_changed
    if not count or changed > limit * count:
        raise ExportError(
            f"with --precision {INT8}, {changed} of {count} predictions for {options.reference} change; the limit is "
            f"{limit:.1%}.",
            fix="export without --precision, pass more texts with --reference, or raise --max-changed.",
            code="precision_too_low",
        )
    notice = model_notice(
        "reduced_precision",
        f"LSTM layers are in {INT8}: of {count} reference texts, {changed} predictions differ from those in float32, "
        f"and numbers by at most {largest:.2g}. Answers depend slightly on the other texts of a batch.",
    )
    spec = replace(bundle.spec, notices=(*bundle.spec.notices, notice))
    inputs = {name: array for name, array in bundle.golden.arrays.items() if name != OUTPUT}
    answers = reduced.predict(bundle.golden.records)
    golden = GoldenRecords(bundle.golden.records, answers, {**inputs, OUTPUT: subsample(reduced.run(inputs))})
    check_golden(reduced, golden)
    return Bundle(spec, graph, golden)


def _compare(exact: Sequence[Answer], reduced: Sequence[Answer]) -> tuple[int, float, int]:
    """Number of changed predictions, the largest difference of a number, and the number of compared answers."""
    pairs = [pair for pair in zip(exact, reduced, strict=True) if not any("error" in answer for answer in pair)]
    changed = sum(prediction_changed(*pair, _no_masks, _CHANGED_NUMBER) for pair in pairs)
    return changed, max((difference(*pair, _no_masks) or 0.0 for pair in pairs), default=0.0), len(pairs)


def _no_masks(ours: str, theirs: str) -> None:
    """Models of texts predict no masks."""
