"""Text models in int8: LSTM layers with 8-bit weights."""

from __future__ import annotations

from dataclasses import replace

from fastmar_export import precision
from fastmar_export.bundle import Bundle
from fastmar_export.networks.quantization import quantize_lstm
from fastmar_export.options import Options
from fastmar_export.reference import read_reference

_BATCHES = " Answers depend slightly on the other texts of a batch."


def check_precision(options: Options) -> None:
    """Check the options of the precision.

    Raises:
        ExportError: an option is invalid, or the texts to measure with are missing.
    """
    precision.check_precision(options, options.reference, "texts", "pass typical texts with --reference TEXTS.csv.")


def reduce_precision(bundle: Bundle, options: Options) -> Bundle:
    """`bundle` with LSTM layers in int8, measured on the reference texts.

    Raises:
        ExportError: see `precision.reduce_precision`.
    """
    assert options.reference is not None  # noqa: S101 - for the type checker: `check_precision` ensures it
    rows = read_reference(options.reference, bundle.spec)
    graph = quantize_lstm(bundle.graph)
    reduced = precision.reduce_precision(bundle, graph, [rows], options, layers="LSTM layers", source="reference texts")
    *others, notice = reduced.spec.notices
    notice = {**notice, "message": notice["message"] + _BATCHES}
    return replace(reduced, spec=replace(reduced.spec, notices=(*others, notice)))
