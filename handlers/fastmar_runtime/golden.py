"""Golden records: records with their answers, stored at export and replayed wherever the bundle is loaded.

They are made from the vocabularies and statistics in the learner, never from rows of training data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from fastmar_contract.agreement import TOLERANCE, answers_agree
from fastmar_contract.display import short_repr
from fastmar_contract.errors import FastmarError
from fastmar_contract.members import ANSWERS, ARRAYS, RECORDS
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.errors import GoldenMismatch
from fastmar_runtime.modalities import modality
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.preprocess import Arrays
from fastmar_runtime.spec import Spec
from fastmar_runtime.validation import check, unreadable

MAX_NUMBERS = 10_007
"""Maximum numbers of one record's output that are recorded."""

OUTPUT = "output"
_MAX_VERSION = 40  # characters of a recorded version in a message


@dataclass(frozen=True, slots=True)
class GoldenRecords:
    """Records, their answers, and in `arrays` the graph's inputs and its output before the activation."""

    records: list[Any]
    answers: list[dict[str, Any]]
    arrays: dict[str, npt.NDArray[Any]]


def read_golden(files: BundleFiles, input_names: list[str]) -> GoldenRecords:
    """The golden records of a bundle.

    Raises:
        BundleUnreadable: a member is missing or damaged.
    """
    records, answers = read_records(files)
    return GoldenRecords(
        records=records,
        answers=answers,
        arrays={name: files.array(ARRAYS.format(name=name)) for name in [*input_names, OUTPUT]},
    )


def read_records(files: BundleFiles) -> tuple[list[Any], list[dict[str, Any]]]:
    """The golden records and their answers, without the arrays.

    Raises:
        BundleUnreadable: a member is missing or damaged.
    """
    return _read_list(files, RECORDS, Any), _read_list(files, ANSWERS, dict[str, Any])


def replay_golden(predictor: Predictor) -> int:
    """Replay the golden records of the bundle that `predictor` was opened from; returns their number.

    Raises:
        GoldenMismatch: an answer differs.
        BundleUnreadable: the golden records can't be read.
    """
    if predictor.files is None:
        return 0
    golden = read_golden(predictor.files, [tensor.name for tensor in predictor.spec.inputs])
    check_golden(predictor, golden)
    return len(golden.records)


def _read_list(files: BundleFiles, name: str, item: Any) -> list[Any]:
    items: list[Any] = check(list[item], files.json(name), name)
    if not items:
        raise unreadable(f"{name} is empty")
    return items


def check_golden(predictor: Predictor, golden: GoldenRecords) -> float:
    """Replay `golden`; returns the largest difference.

    Raises:
        GoldenMismatch: an input, an output or an answer differs. The message names the first one, and the versions of
            ONNX Runtime, or for pictures those of Pillow, if they differ from those at export.
    """
    try:
        return _replay(predictor, golden)
    except GoldenMismatch as error:
        cause = modality(predictor.spec.kind).mismatch_cause(predictor.spec) or _other_onnxruntime(predictor.spec)
        if cause is None:
            raise
        what, fix = cause
        raise GoldenMismatch(f"{error.message} {what}", fix=fix) from error


def _other_onnxruntime(spec: Spec) -> tuple[str, str] | None:
    """A message and fix if the archive was exported with another version of ONNX Runtime; None if not or unknown."""
    recorded, installed = (spec.provenance or {}).get("onnxruntime"), onnxruntime.__version__
    if recorded is None or recorded == installed:
        return None
    recorded = f"{recorded!s:.{_MAX_VERSION}}"
    return (
        f"The archive was exported with onnxruntime {recorded}; installed is {installed}.",
        f"ask the person who exported it to export it with onnxruntime {installed}, or install onnxruntime {recorded}.",
    )


def _replay(predictor: Predictor, golden: GoldenRecords) -> float:
    try:
        inputs, report = predictor.preprocess(golden.records)
    except (ValueError, MemoryError) as error:  # pictures of different sizes
        raise _mismatch(f"the golden records do not fit into one input ({error!s:.200})") from error
    if report.errors:
        row, refusal = next(iter(report.errors.items()))
        raise _mismatch(f"golden record {row} was refused: {refusal.message}")
    if inputs.keys() | {OUTPUT} != golden.arrays.keys() or len(golden.records) != len(golden.answers):
        raise _mismatch("the golden records, their arrays and their answers are inconsistent")
    if not inputs:
        raise _mismatch("the golden records give no inputs")
    largest = max(_compare(f"input {name}", inputs[name], golden.arrays[name]) for name in inputs)
    largest = max(largest, _compare("output", subsample(_run(predictor, inputs)), golden.arrays[OUTPUT]))
    for row, (ours, theirs) in enumerate(zip(_answers(predictor, golden.records), golden.answers, strict=True)):
        if not answers_agree(ours, theirs, predictor.spec.decode, _mask_difference):
            raise _mismatch(
                f"the answer to golden record {row} is {short_repr(ours)}; recorded was {short_repr(theirs)}"
            )
    return largest


def subsample(output: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The part of `output` that is recorded: evenly spaced numbers of large outputs, such as masks."""
    size = output[0].size
    return output if size <= MAX_NUMBERS else output.reshape(len(output), -1)[:, :: -(-size // MAX_NUMBERS)]


def _run(predictor: Predictor, inputs: Arrays) -> npt.NDArray[Any]:
    try:
        return predictor.run(inputs)
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        raise _mismatch(f"the graph fails ({' '.join(str(error).split())})") from error


def _compare(what: str, ours: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> float:
    if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
        raise _mismatch(f"{what} is {ours.dtype} {ours.shape}; recorded was {theirs.dtype} {theirs.shape}")
    if ours.size == 0:
        return 0.0
    difference = float(np.max(np.abs(ours.astype(np.float64) - theirs) / np.maximum(1.0, np.abs(theirs))))
    if not difference <= TOLERANCE:
        raise _mismatch(f"{what} differs by {difference:.2g}, over the tolerance of {TOLERANCE:g}")
    return difference


def _answers(predictor: Predictor, records: list[Any]) -> list[dict[str, Any]]:
    try:
        return predictor.predict(records)
    except FastmarError:
        raise
    except Exception as error:  # the output has another shape than in spec.json
        raise _mismatch(f"the graph's output can't be decoded ({type(error).__name__}: {error!s:.200})") from error


def _mask_difference(ours: str, theirs: str) -> float | None:
    from fastmar_runtime.masks import mask_difference  # noqa: PLC0415 - imports Pillow

    return mask_difference(ours, theirs)


def _mismatch(what: str) -> GoldenMismatch:
    return GoldenMismatch(
        f"{what}.",
        fix="copy the archive again; if that does not help, ask the person who exported it to export it again with "
        f"onnxruntime {onnxruntime.__version__}, which is installed here.",
    )
