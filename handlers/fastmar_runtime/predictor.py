"""Opens a bundle and predicts records with it, in a server's worker or in any other process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from fastmar_contract.errors import RecordError
from fastmar_contract.members import GRAPH, SPEC
from fastmar_runtime.activations import all_finite
from fastmar_runtime.answers import load_decoder
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.checks import check_session, read_spec
from fastmar_runtime.errors import BundleUnreadable, GraphFailed
from fastmar_runtime.geometry import Geometry
from fastmar_runtime.memory import release_freed
from fastmar_runtime.modalities import modality
from fastmar_runtime.operations import Model, Operations
from fastmar_runtime.operations.kinds import kind_of
from fastmar_runtime.operators import check_operators
from fastmar_runtime.preprocess import Arrays, Columns, Group
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Spec

log = logging.getLogger(__name__)

__all__ = ["GRAPH", "SPEC", "BundleFiles", "Predictor", "providers"]

Prepared = Callable[[Columns, Sequence[int]], None]

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_SLOWER = ["GatherSliceToSplitFusion"]  # adds a Split and a Squeeze for each embedding: slower for a lone record
_LARGE = 2048  # numbers of a group's inputs from which it takes far longer than the release of its memory
_NO_MEMORY = ("Failed to allocate", "bad_alloc", "Unable to allocate")  # in messages of ONNX Runtime and numpy


class Predictor:
    """A loaded model. Keeps no state between calls; safe to call from several threads.

    Attributes:
        spec: the description of the model.
        preprocess: turns records into the graph's inputs.
        operations: answers records that request an operation; None if the model only predicts.
        files: the bundle that it was opened from, or None.
    """

    def __init__(
        self, spec: Spec, graph: bytes, *, threads: int = 1, gpu: int | None = None, files: BundleFiles | None = None
    ) -> None:
        self.spec = spec
        self.files = files
        kind = modality(spec.kind)
        self.preprocess = kind.preprocessor(spec)
        self._decode = load_decoder(spec.decode)
        check_operators(graph)
        self._keeps_memory = kind.keeps_memory
        self._session = _session(graph, threads, gpu, keeps_memory=kind.keeps_memory)
        self._outputs = [t.name for t in spec.outputs]
        self._first = self._outputs[:1]
        self._options = ort.RunOptions()  # the session would create them for each call
        self.operations: Operations | None = None
        if (operations := kind_of(spec)) is not None:
            model = Model(spec, graph, self.preprocess, self.run, self.run_all, self._decode, self._predict_records)
            self.operations = operations.load(model)

    @classmethod
    def open(cls, path: str | Path, *, threads: int = 1, gpu: int | None = None) -> Predictor:
        """Open an archive (`.mar`) or the folder that TorchServe unpacked it to; `gpu` is the number of the device.

        Raises:
            BundleError: it can't be read, is invalid, or uses another protocol.
        """
        files = BundleFiles(path)
        predictor = cls(read_spec(files), files.read(GRAPH), threads=threads, gpu=gpu, files=files)
        check_session(predictor.spec, predictor._session)
        return predictor

    def predict(self, records: Sequence[Any], prepared: Prepared | None = None) -> list[dict[str, Any]]:
        """Predict records.

        Args:
            records: dicts of column to value, or pictures (see `pictures`); a `RecordError` in place of a record that
                could not be read.
            prepared: called with the columns of each group of records (see `Group`) and their positions in `records`.

        Returns:
            For each record ``{"prediction", ..., "warnings"}``, or ``{"error": {...}}`` if it can't be scored; the
            error's ``record`` is the position in `records`. The answer to a picture with a name has ``"name"``. For a
            record that requests an operation, see `Operations.answer`.
        """
        operations = self.operations
        if operations is None or not any(map(operations.is_requested, records)):
            return self._predict_records(records, 0, prepared)
        answers: list[dict[str, Any]] = []
        for is_requested, group in groupby(records, operations.is_requested):
            start = len(answers)
            if is_requested:
                answers += [_answer_or_error(operations, record, row) for row, record in enumerate(group, start)]
            else:
                answers += self._predict_records(list(group), start, prepared)
        return answers

    def _predict_records(
        self, records: Sequence[Any], first: int = 0, prepared: Prepared | None = None
    ) -> list[dict[str, Any]]:
        """Answers to records that request no operation; `first` is the position of the first one in its request."""
        chunk = self.preprocess.chunk
        answers: list[dict[str, Any]] = []
        for start in range(0, len(records), chunk):
            answers += self._predict_chunk(records[start : start + chunk], first + start, prepared)
        return answers

    def _predict_chunk(self, records: Sequence[Any], start: int, prepared: Prepared | None) -> list[dict[str, Any]]:
        groups, report = self.preprocess.groups(records)
        if prepared is not None:
            for group in groups:
                if group.columns:
                    prepared(group.columns, [start + row for row in group.rows] if start else group.rows)
        answers: list[dict[str, Any]] = [{}] * len(records)
        for rows, output, geometries in self.outputs(groups, report):
            for row, answer in zip(rows, self._decoded(output, geometries), strict=True):
                answer["warnings"] = report.warnings[row]
                answers[row] = answer
        for row, error in report.errors.items():
            answers[row] = error.as_dict(start + row)
        return self.preprocess.add_names(records, answers)

    def outputs(
        self, groups: Sequence[Group], report: Report
    ) -> Iterator[tuple[list[int], npt.NDArray[np.float32], list[Geometry]]]:
        """The graph's outputs for `groups`, before the activation.

        Args:
            groups: the groups of the preprocessor.
            report: the report on the records; it gets an error for each record whose output is not finite.

        Yields:
            Positions of records, their outputs [records, ...], and the geometries of pictures.
        """
        for group, raw in self._outputs_of(groups, report):
            output, rows, geometries = raw, group.rows, group.geometries
            if not all_finite(output):
                kept = self._refuse_not_finite(output, rows, report)
                output, rows = output[kept], [rows[i] for i in kept]
                geometries = [geometries[i] for i in kept] if geometries else geometries
            yield rows, output, geometries
        if not self._keeps_memory and any(_is_large(group) for group in groups):
            release_freed()  # else freed memory that lies between other objects would add up

    def _outputs_of(self, groups: Iterable[Group], report: Report) -> Iterator[tuple[Group, npt.NDArray[np.float32]]]:
        """The graph's output for each group. If it fails on a group of pictures, they are tried one by one."""
        for group in groups:
            try:
                output = self.run(group.inputs)
            except Exception as failure:  # ONNX Runtime's exceptions have no common base
                if not group.geometries:
                    raise
                if len(group.rows) == 1:
                    _refuse_picture(group, report, failure)
                else:
                    yield from self._outputs_of(group.split(), report)
            else:
                yield group, output

    def _refuse_not_finite(self, output: npt.NDArray[Any], rows: list[int], report: Report) -> list[int]:
        """Refuse records whose output is not finite: argmax would pick NaN. Returns the places of the others."""
        kept: list[bool] = np.isfinite(output).reshape(len(output), -1).all(axis=1).tolist()
        for row, finite in zip(rows, kept, strict=True):
            if not finite:
                report.refuse(row, not_finite())
        return [place for place, finite in enumerate(kept) if finite]

    def _decoded(self, output: npt.NDArray[Any], geometries: Sequence[Geometry]) -> list[dict[str, Any]]:
        try:
            return self._decode(output, geometries)
        except (ValueError, IndexError, TypeError) as error:
            raise GraphFailed(
                f"the output of model.onnx, {output.dtype} {output.shape}, can't be decoded ({error!s:.200}).",
                fix="copy the archive again, or export the learner again.",
            ) from error

    def run(self, inputs: Arrays) -> npt.NDArray[np.float32]:
        """Run the graph. Returns its first output, [batch, ...] float32, before the activation."""
        output: npt.NDArray[np.float32] = self._run(self._first, inputs)[0]
        return output

    def run_all(self, inputs: Arrays) -> Arrays:
        """Run the graph. Returns all of its outputs by name."""
        return dict(zip(self._outputs, self._run(self._outputs, inputs), strict=True))

    def _run(self, outputs: list[str], inputs: Arrays) -> Any:
        try:
            return self._session.run(outputs, inputs, self._options)
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            raise GraphFailed(
                f"ONNX Runtime can't run model.onnx ({' '.join(str(error).split())[:400]}).",
                fix="run `fastmar doctor` on the archive, or export the learner again.",
            ) from error


def _is_large(group: Group) -> bool:
    return sum(array.size for array in group.inputs.values()) > _LARGE


def _answer_or_error(operations: Operations, record: dict[str, Any], position: int) -> dict[str, Any]:
    try:
        return operations.answer(record)
    except RecordError as error:
        return error.as_dict(position)


def _refuse_picture(group: Group, report: Report, error: Exception) -> None:
    """Refuse the only picture of `group`, on which the graph failed."""
    reason = " ".join(str(error).split())
    log.warning("the graph failed on a picture: %s", reason[:500])
    (row,), (geometry,) = group.rows, group.geometries
    size = f"{geometry.sent[0]} x {geometry.sent[1]} pixels"
    if any(text in reason for text in _NO_MEMORY):
        refusal = RecordError(
            "out_of_memory",
            f"there was not enough memory for a picture of {size}.",
            fix="send a smaller picture, or give the server's process more memory.",
        )
    else:
        refusal = RecordError(
            "bad_shape",
            f"the network fails on a picture of {size}.",
            fix="send a larger picture, or train with Resize among the item transforms.",
        )
    report.refuse(row, refusal)


def not_finite() -> RecordError:
    """The error for a record whose output is NaN or infinite."""
    return RecordError(
        "not_finite",
        "the network's output for this record is not a finite number.",
        fix="check the record's numbers and their units: one may be far from the training data.",
    )


def providers(gpu: int | None) -> list[str | tuple[str, dict[str, Any]]]:
    """Execution providers of ONNX Runtime: CUDA if a device is given and this build supports it, then the CPU.

    TF32, the default of CUDA, is disabled: it rounds to 10 bits, so that golden records would not be reproduced.
    """
    if gpu is None or CUDA not in ort.get_available_providers():
        return [CPU]
    return [(CUDA, {"device_id": gpu, "use_tf32": 0}), CPU]


def _session(graph: bytes, threads: int, gpu: int | None, *, keeps_memory: bool) -> Any:
    options = ort.SessionOptions()
    options.enable_cpu_mem_arena = keeps_memory
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads would take cores from the server between requests.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A foreign graph may refer to files with weights; it gets a folder that does not exist.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", "/nonexistent")
    try:
        return ort.InferenceSession(graph, options, providers=providers(gpu), disabled_optimizers=_SLOWER)
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        raise BundleUnreadable(
            f"ONNX Runtime {ort.__version__} can't load {GRAPH} ({error}).",
            fix="install the version of onnxruntime that the archive was exported with, or export the learner again.",
        ) from error
