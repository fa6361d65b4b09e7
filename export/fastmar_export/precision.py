"""Reduces the precision of a model to int8, and measures on records of the user how much its answers change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fastmar_contract.agreement import difference, prediction_changed
from fastmar_contract.errors import RecordError
from fastmar_export.bundle import Bundle
from fastmar_export.conversion import State, model_notice
from fastmar_export.errors import ExportError
from fastmar_export.options import Options
from fastmar_runtime.golden import OUTPUT, GoldenRecords, check_golden, subsample
from fastmar_runtime.masks import mask_difference
from fastmar_runtime.predictor import Predictor

INT8 = "int8"
MAX_CHANGED = 0.02  # share of predictions that may change
_CHANGED_NUMBER = 0.01  # relative difference above which a predicted number counts as changed

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """The difference between the answers of two precisions.

    Attributes:
        records: number of compared records.
        changed: number of changed predictions; see `prediction_changed`.
        largest_difference: the largest difference of a probability or a predicted number; for masks, the largest
            share of changed pixels.
    """

    records: int = 0
    changed: int = 0
    largest_difference: float = 0.0

    def add(self, exact: Sequence[Answer], reduced: Sequence[Answer]) -> Change:
        """This change and that of more answers, without those to refused records."""
        pairs = [pair for pair in zip(exact, reduced, strict=True) if not any("error" in answer for answer in pair)]
        differences = [difference(*pair, mask_difference) or 0.0 for pair in pairs]
        return Change(
            self.records + len(pairs),
            self.changed + sum(prediction_changed(*pair, mask_difference, _CHANGED_NUMBER) for pair in pairs),
            max([self.largest_difference, *differences]),
        )


def check_precision(options: Options, source: Path | None, what: str, fix: str) -> None:
    """Check the options of the precision.

    Args:
        options: the options of the export.
        source: the records to measure with.
        what: the word for a record, in the plural.
        fix: the fix if there is no source.

    Raises:
        ExportError: an option is invalid, or the records to measure with are missing.
    """
    if options.precision not in (None, INT8):
        raise ExportError(
            f"--precision is {options.precision!r}.", fix=f"use {INT8}, or omit it.", code="invalid_precision"
        )
    if options.precision and source is None:
        raise ExportError(
            f"--precision {INT8} changes answers, and there are no {what} to measure by how much.",
            fix=fix,
            code="precision_without_reference",
        )


def reduce_precision(
    bundle: Bundle, graph: bytes, batches: Iterable[list[Any]], options: Options, *, layers: str, source: str
) -> Bundle:
    """`bundle` with the reduced `graph`, new golden answers, and a notice with the measured change.

    Args:
        bundle: the bundle in float32.
        graph: the graph in reduced precision.
        batches: the records to measure with.
        options: the options of the export.
        layers: the reduced layers, for the notice.
        source: what the records are, such as ``"reference texts"``, for the notice.

    Raises:
        ExportError: more predictions change than the options allow, or no record can be scored.
    """
    exact, reduced = Predictor(bundle.spec, bundle.graph), Predictor(bundle.spec, graph)
    change = Change()
    for batch in batches:
        records = [record for record in batch if not isinstance(record, RecordError)]
        change = change.add(exact.predict(records), reduced.predict(records))
    limit = MAX_CHANGED if options.max_changed is None else options.max_changed
    if not change.records or change.changed > limit * change.records:
        raise ExportError(
            f"with --precision {INT8}, {change.changed} of {change.records} predictions for the {source} change "
            f"(limit {limit:.1%}), and numbers by at most {change.largest_difference:.2g}.",
            fix=f"export without --precision, pass more {source}, or raise --max-changed.",
            code="precision_too_low",
        )
    answers = reduced.predict(bundle.golden.records)
    facts = {"name": INT8, "measured": asdict(change), "golden": asdict(Change().add(bundle.golden.answers, answers))}
    spec = replace(
        bundle.spec,
        notices=(*bundle.spec.notices, _notice(change, layers, source)),
        provenance={**(bundle.spec.provenance or {}), "precision": facts},
    )
    inputs = {name: array for name, array in bundle.golden.arrays.items() if name != OUTPUT}
    golden = GoldenRecords(bundle.golden.records, answers, {**inputs, OUTPUT: subsample(reduced.run(inputs))})
    check_golden(reduced, golden)
    return Bundle(spec, graph, golden)


def _notice(change: Change, layers: str, source: str) -> State:
    return model_notice(
        "reduced_precision",
        f"{layers} are in {INT8}: of {change.records} {source}, {change.changed} predictions differ from those in "
        f"float32, and numbers by at most {change.largest_difference:.2g}.",
    )
