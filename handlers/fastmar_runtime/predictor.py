"""Records to answers: opens a bundle and runs it, in TorchServe's worker or in any other process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from fastmar_contract.errors import RecordError
from fastmar_contract.members import GRAPH, SPEC
from fastmar_runtime.answers import load_decoder
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.checks import check_session, read_spec
from fastmar_runtime.errors import BundleUnreadable, GraphFailed
from fastmar_runtime.geometry import Geometry
from fastmar_runtime.modalities import modality
from fastmar_runtime.operators import check_operators
from fastmar_runtime.preprocess import Arrays, Columns, Group
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Spec

log = logging.getLogger(__name__)

__all__ = ["GRAPH", "SPEC", "BundleFiles", "Predictor", "providers"]

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_NO_MEMORY = ("Failed to allocate", "bad_alloc", "Unable to allocate")  # how ONNX Runtime and numpy tell of it


class Predictor:
    """A model that is ready to answer. Holds no state between calls; safe to call from several threads.

    Attributes:
        spec: what the bundle says of itself.
        preprocess: from records to the graph's inputs.
        files: where it came from.
    """

    def __init__(
        self, spec: Spec, graph: bytes, *, threads: int = 1, gpu: int | None = None, files: BundleFiles | None = None
    ) -> None:
        self.spec = spec
        self.files = files
        self.preprocess = modality(spec.kind).preprocessor(spec)
        self._decode = load_decoder(spec.decode)
        check_operators(graph)
        self._session = _session(graph, threads, gpu)
        self._outputs = [t.name for t in spec.outputs]

    @classmethod
    def open(cls, path: str | Path, *, threads: int = 1, gpu: int | None = None) -> Predictor:
        """Open an archive (`.mar`) or the folder that TorchServe unpacked one to; `gpu` is a graphics card's number.

        Raises:
            BundleError: it can't be read, or speaks another protocol.
        """
        files = BundleFiles(path)
        predictor = cls(read_spec(files), files.read(GRAPH), threads=threads, gpu=gpu, files=files)
        check_session(predictor.spec, predictor._session)
        return predictor

    def predict(
        self, records: Sequence[Any], prepared: Callable[[Columns], None] | None = None
    ) -> list[dict[str, Any]]:
        """One answer a record, in order.

        Args:
            records: dicts of column to value, or pictures (see `pictures`); a `RecordError` in place of one that could
                not be read.
            prepared: is called with the columns of each group of records; see `Group`.

        Returns:
            ``{"prediction", ..., "warnings"}``, or ``{"error": {...}}`` for a record that can't be scored, whose
            ``record`` is its position in `records`. A picture that has a name is answered with ``"name"``.
        """
        chunk = self.preprocess.chunk
        answers: list[dict[str, Any]] = []
        for start in range(0, len(records), chunk):
            answers += self._predict_chunk(records[start : start + chunk], start, prepared)
        return answers

    def _predict_chunk(
        self, records: Sequence[Any], start: int, prepared: Callable[[Columns], None] | None
    ) -> list[dict[str, Any]]:
        groups, report = self.preprocess.groups(records)
        if prepared is not None:
            for group in groups:
                if group.columns:
                    prepared(group.columns)
        decoded: dict[int, dict[str, Any]] = {}
        for group, output in self._outputs_of(groups, report):
            kept = list(self._finite(output, group.rows, report))
            finite = output if len(kept) == len(group.rows) else output[kept]
            geometries = [group.geometries[i] for i in kept] if group.geometries else ()
            decoded |= zip((group.rows[i] for i in kept), self._decoded(finite, geometries), strict=True)
        answers = []
        for row in range(len(records)):
            error = report.errors.get(row)
            if error is None:
                answer = decoded[row]
                answer["warnings"] = report.warnings[row]
            else:
                answer = error.as_dict(start + row)
            answers.append(answer)
        return self.preprocess.named(records, answers)

    def _outputs_of(self, groups: Iterable[Group], report: Report) -> Iterator[tuple[Group, npt.NDArray[np.float32]]]:
        """The graph's output for each group; pictures that it fails on together are given to it one by one."""
        for group in groups:
            try:
                output = self.run(group.inputs)
            except Exception as failure:  # ONNX Runtime's exceptions have no common base
                if not group.geometries:
                    raise
                if len(group.rows) == 1:
                    _refuse_picture(group, report, failure)
                else:
                    yield from self._outputs_of(group.single(), report)
            else:
                yield group, output

    def _finite(self, output: npt.NDArray[Any], rows: list[int], report: Report) -> Iterator[int]:
        """Places in `output` but for those that the network overflowed on: NaN would be argmax's favourite label."""
        if np.isfinite(output).all():
            yield from range(len(rows))
            return
        kept: npt.NDArray[np.bool_] = np.isfinite(output).reshape(len(output), -1).all(axis=1)
        for place, row in enumerate(rows):
            if kept[place]:
                yield place
            else:
                report.refuse(row, _not_finite())

    def _decoded(self, output: npt.NDArray[Any], geometries: Sequence[Geometry]) -> list[dict[str, Any]]:
        try:
            return self._decode(output, geometries)
        except (ValueError, IndexError, TypeError) as error:
            raise GraphFailed(
                f"the output of model.onnx, {output.dtype} {output.shape}, can't be decoded ({error!s:.200}).",
                fix="copy the archive again, or export the learner again.",
            ) from error

    def run(self, inputs: Arrays) -> npt.NDArray[np.float32]:
        """The graph's first output, [batch, ...] float32, before the loss's activation."""
        try:
            output: npt.NDArray[np.float32] = self._session.run(self._outputs, inputs)[0]
        except Exception as error:  # ONNX Runtime's exceptions have no common base
            raise GraphFailed(
                f"ONNX Runtime can't run model.onnx ({' '.join(str(error).split())[:400]}).",
                fix="run `fastmar doctor` on the archive, or export the learner again.",
            ) from error
        return output


def _refuse_picture(group: Group, report: Report, error: Exception) -> None:
    """The one picture of `group`, which the graph can't take: others of the batch go on."""
    said = " ".join(str(error).split())
    log.warning("the graph failed on a picture: %s", said[:500])
    (row,), (geometry,) = group.rows, group.geometries
    size = f"{geometry.sent[0]} x {geometry.sent[1]} pixels"
    if any(word in said for word in _NO_MEMORY):
        refused = RecordError(
            "out_of_memory",
            f"there was not enough memory for a picture of {size}.",
            fix="send a smaller picture, or give the server's process more memory.",
        )
    else:
        refused = RecordError(
            "bad_shape",
            f"the network can't take a picture of {size}.",
            fix="send a larger picture, or train with Resize among the item transforms.",
        )
    report.refuse(row, refused)


def _not_finite() -> RecordError:
    return RecordError(
        "not_finite",
        "the network's output for this record is not a finite number.",
        fix="check the record's numbers and their units: one may be far from what the model was trained with.",
    )


def providers(gpu: int | None) -> list[str | tuple[str, dict[str, Any]]]:
    """Where ONNX Runtime computes: the graphics card where there is one and this build can use it, then the processor.

    TF32, a card's default, rounds to 10 bits: its answers would not be those that were recorded at export.
    """
    if gpu is None or CUDA not in ort.get_available_providers():
        return [CPU]
    return [(CUDA, {"device_id": gpu, "use_tf32": 0}), CPU]


def _session(graph: bytes, threads: int, gpu: int | None) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that spin between two small requests take the cores from the server that feeds them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A graph may name files to read weights from. Ours never does; a foreign one gets a folder that is not there.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", "/nonexistent")
    try:
        return ort.InferenceSession(graph, options, providers=providers(gpu))
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        raise BundleUnreadable(
            f"ONNX Runtime {ort.__version__} can't load {GRAPH} ({error}).",
            fix="install the onnxruntime that the archive was exported with, or export again.",
        ) from error
