"""Picture models in int8: weights and activations with 8 bits, by pictures of the user."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastmar_contract.errors import FastmarError, RecordError
from fastmar_export import precision
from fastmar_export.bundle import Bundle
from fastmar_export.errors import ExportError
from fastmar_export.networks.quantization import quantize_static
from fastmar_export.options import Options
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.preprocess import Arrays
from fastmar_runtime.profiles.records import record_batches
from fastmar_runtime.spec import Spec

_BATCH = 8  # pictures: a calibration keeps the outputs of all layers for a batch


def check_precision(options: Options) -> None:
    """Check the options of the precision.

    Raises:
        ExportError: an option is invalid, or the calibration pictures are missing.
    """
    fix = "pass a folder of a hundred typical pictures with --calibration FOLDER."
    precision.check_precision(options, options.calibration, "pictures", fix)
    if options.calibration is not None and options.precision is None:
        raise ExportError(
            "--calibration is for a reduced precision.",
            fix=f"add --precision {precision.INT8}, or remove --calibration.",
            code="calibration_without_precision",
        )


def reduce_precision(bundle: Bundle, options: Options) -> Bundle:
    """`bundle` with its layers in int8, calibrated and measured on the pictures of the user.

    Raises:
        ExportError: the pictures can't be read; or see `precision.reduce_precision`.
    """
    assert options.calibration is not None  # noqa: S101 - for the type checker: `check_precision` ensures it
    folder, spec = options.calibration, bundle.spec
    graph = quantize_static(bundle.graph, _inputs(Predictor(spec, bundle.graph), _pictures(folder, spec)))
    pictures = _pictures(folder, spec)
    layers, source = "layers", "calibration pictures"
    return precision.reduce_precision(bundle, graph, pictures, options, layers=layers, source=source)


def _pictures(folder: Path, spec: Spec) -> Iterator[list[Any]]:
    try:
        for batch in record_batches(folder, spec, _BATCH):
            yield [record for record in batch if not isinstance(record, RecordError)]
    except FastmarError as error:
        raise ExportError(
            f"--calibration {folder}: {error.message}", fix=error.fix, code="calibration_unreadable"
        ) from error


def _inputs(predictor: Predictor, batches: Iterator[list[Any]]) -> Iterator[Arrays]:
    """The graph's inputs; pictures that the steps refuse are left out."""
    for batch in batches:
        groups, _ = predictor.preprocess.groups(batch)
        yield from (group.inputs for group in groups)
