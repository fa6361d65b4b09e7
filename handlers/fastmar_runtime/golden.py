"""Golden records: inputs with their answers, stored at export and reproduced wherever the bundle is loaded.

They are made from the vocabularies and statistics in the learner, never from rows of anybody's data.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_runtime.errors import GoldenMismatch
from fastmar_runtime.predictor import BundleFiles, Predictor

RECORDS, ANSWERS, ARRAYS = "golden/records.json", "golden/answers.json", "golden/arrays/{name}.npy"

TOLERANCE = 1e-4
"""Largest difference of an output that counts as reproduced. Other processors have other instructions for the same sum:
float32 networks then differ by about 1e-6 of their largest activation; a wrong step differs by far more."""

OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Golden:
    """Records, their answers, the graph's inputs for them, and its output before activation."""

    records: list[Any]
    answers: list[dict[str, Any]]
    arrays: dict[str, npt.NDArray[Any]]


def read_golden(files: BundleFiles, input_names: list[str]) -> Golden:
    """The golden records of a bundle."""
    return Golden(
        records=files.json(RECORDS),
        answers=files.json(ANSWERS),
        arrays={
            name: np.load(io.BytesIO(files.read(ARRAYS.format(name=name))), allow_pickle=False)
            for name in [*input_names, OUTPUT]
        },
    )


def check_golden(predictor: Predictor, golden: Golden) -> float:
    """Replay `golden`; the value is the largest difference seen.

    Raises:
        GoldenMismatch: an input, an output or an answer is not reproduced; it names the first.
    """
    inputs, report = predictor.preprocess(golden.records)
    if report.errors:
        row, error = next(iter(report.errors.items()))
        raise _mismatch(f"golden record {row} was refused: {error.message}")
    largest = 0.0
    for name in inputs:
        largest = max(largest, _compare(f"input {name}", inputs[name], golden.arrays[name]))
    largest = max(largest, _compare("output", predictor.run(inputs), golden.arrays[OUTPUT]))
    for row, (ours, theirs) in enumerate(zip(predictor.predict(golden.records), golden.answers, strict=True)):
        _compare_answer(row, ours, theirs)
    return largest


def _compare(what: str, ours: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> float:
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        raise _mismatch(f"{what} is {ours.dtype} {ours.shape}, recorded was {theirs.dtype} {theirs.shape}")
    if ours.size == 0:
        return 0.0
    difference = float(np.max(np.abs(ours.astype(np.float64) - theirs) / np.maximum(1.0, np.abs(theirs))))
    if not difference <= TOLERANCE:
        raise _mismatch(f"{what} differs by {difference:.2g} (at most {TOLERANCE:g})")
    return difference


def _compare_answer(row: int, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    if ours.keys() != theirs.keys() or ours["warnings"] != theirs["warnings"]:
        raise _mismatch(f"the answer to golden record {row} is {ours}, recorded was {theirs}")
    if "index" in theirs and ours["index"] != theirs["index"] and not _tie(theirs):
        raise _mismatch(f"golden record {row} is {ours['prediction']!r}, recorded was {theirs['prediction']!r}")


def _tie(answer: dict[str, Any]) -> bool:
    first, second = sorted(answer["probabilities"].values(), reverse=True)[:2]
    return bool(first - second <= TOLERANCE)


def _mismatch(what: str) -> GoldenMismatch:
    return GoldenMismatch(
        f"{what}.", fix="run `fastmar doctor` on the archive here, and export it again with this machine's onnxruntime."
    )
