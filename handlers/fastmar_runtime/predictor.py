"""Records to answers: opens a bundle and runs it, in TorchServe's worker or in any other process."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import orjson

from fastmar_runtime import spec as spec_format
from fastmar_runtime.columns import gather
from fastmar_runtime.decode import load_decoder
from fastmar_runtime.errors import BundleUnreadable, RecordError
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Spec
from fastmar_runtime.steps import load_step

SPEC, GRAPH = "spec.json", "model.onnx"
_LARGEST = 2**31  # bytes of a part: no graph in one file can be larger, and no other part is near it
CHUNK = 4096  # records that go through the graph at once: more would only take memory

Arrays = dict[str, npt.NDArray[Any]]


class BundleFiles:
    """The files of a bundle by name, out of an archive or the folder it was unpacked to. Reads data, runs nothing."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def read(self, name: str) -> bytes:
        """The bytes of one file.

        Raises:
            BundleUnreadable: the bundle is not there, is no archive, or has no such file.
        """
        try:
            if self.path.is_dir():
                return (self.path / name).read_bytes()
            with zipfile.ZipFile(self.path) as archive:
                if archive.getinfo(name).file_size > _LARGEST:
                    raise BundleUnreadable(f"{name} in {self.path} is over {_LARGEST:,} bytes.", fix="export it again.")
                return archive.read(name)
        except FileNotFoundError as error:
            missing = name if self.path.exists() else str(self.path)
            raise BundleUnreadable(
                f"there is no {missing}.", fix="give the path of an archive that `fastmar export` wrote."
            ) from error
        except KeyError as error:
            raise BundleUnreadable(
                f"{self.path} holds no {name}: fastmar did not write it.",
                fix="export the learner with `fastmar export`.",
            ) from error
        except (zipfile.BadZipFile, OSError, EOFError, zipfile.zlib.error) as error:  # type: ignore[attr-defined]
            raise BundleUnreadable(
                f"{self.path} is damaged or no archive ({error}).", fix="copy or export it again."
            ) from error

    def json(self, name: str) -> Any:
        """One file, read as JSON."""
        try:
            return orjson.loads(self.read(name))
        except orjson.JSONDecodeError as error:
            raise BundleUnreadable(f"{name} in {self.path} is no JSON.", fix="export the learner again.") from error


class Preprocessor:
    """Records to the graph's inputs: the fields' checks, then the steps in order."""

    def __init__(self, spec: Spec) -> None:
        self._fields = spec.fields
        self._steps = [load_step(state) for state in spec.steps]

    def __call__(self, records: Sequence[Any]) -> tuple[Arrays, Report]:
        """The graph's inputs for `records`, and what there is to say about each.

        Rows of records that were refused hold numbers without meaning.
        """
        report = Report(len(records))
        batch: dict[str, Any] = gather(records, self._fields, report)
        for step in self._steps:
            batch = step(batch, report)
        return batch, report


class Predictor:
    """A model that is ready to answer. Holds no state between calls; safe to call from several threads.

    Attributes:
        spec: what the bundle says of itself.
        preprocess: from records to the graph's inputs.
        files: where it came from.
    """

    def __init__(self, spec: Spec, graph: bytes, *, threads: int = 1, files: BundleFiles | None = None) -> None:
        self.spec = spec
        self.files = files
        self.preprocess = Preprocessor(spec)
        self._decode = load_decoder(spec.decode)
        self._session = _session(graph, threads)
        self._outputs = [t.name for t in spec.outputs]

    @classmethod
    def open(cls, path: str | Path, *, threads: int = 1) -> Predictor:
        """Open an archive (`.mar`) or the folder that TorchServe unpacked one to.

        Raises:
            BundleError: it can't be read, or speaks another protocol.
        """
        files = BundleFiles(path)
        return cls(spec_format.from_dict(files.json(SPEC)), files.read(GRAPH), threads=threads, files=files)

    def predict(self, records: Sequence[Any]) -> list[dict[str, Any]]:
        """One answer a record, in order.

        Args:
            records: dicts of column to value; a `RecordError` in place of one that could not be read.

        Returns:
            ``{"prediction", ..., "warnings"}``, or ``{"error": {...}}`` for a record that can't be scored, whose
            ``record`` is its position in `records`.
        """
        answers: list[dict[str, Any]] = []
        for start in range(0, len(records), CHUNK):
            answers += self._predict_chunk(records[start : start + CHUNK], start)
        return answers

    def _predict_chunk(self, records: Sequence[Any], start: int) -> list[dict[str, Any]]:
        inputs, report = self.preprocess(records)
        good = [row for row in range(len(records)) if row not in report.errors]
        if len(good) < len(records):
            inputs = {name: array[good] for name, array in inputs.items()}
        decoded = iter(self._decode(self._finite(self.run(inputs), good, report)) if good else ())
        answers = []
        for row in range(len(records)):
            error = report.errors.get(row)
            if error is None:
                answer = next(decoded)
                answer["warnings"] = report.warnings[row]
            else:
                answer = error.as_dict(start + row)
            answers.append(answer)
        return answers

    def _finite(self, output: npt.NDArray[Any], rows: list[int], report: Report) -> npt.NDArray[Any]:
        """`output` without the records that the network overflowed on: NaN would be argmax's favourite label."""
        if np.isfinite(output).all():
            return output
        kept: npt.NDArray[np.bool_] = np.isfinite(output).reshape(len(output), -1).all(axis=1)
        for row, finite in zip(rows, kept, strict=True):
            if not finite:
                report.refuse(row, _not_finite())
        return output[kept]

    def run(self, inputs: Arrays) -> npt.NDArray[np.float32]:
        """The graph's first output, [batch, size] float32, before the loss's activation."""
        output: npt.NDArray[np.float32] = self._session.run(self._outputs, inputs)[0]
        return output


def _not_finite() -> RecordError:
    return RecordError(
        "not_finite",
        "the network's output for this record is not a finite number.",
        fix="check the record's numbers and their units: one may be far from what the model was trained with.",
    )


def _session(graph: bytes, threads: int) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that spin between two small requests take the cores from the server that feeds them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A graph may name files to read weights from. Ours never does; a foreign one gets a folder that is not there.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", "/nonexistent")
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        raise BundleUnreadable(
            f"ONNX Runtime {ort.__version__} can't load {GRAPH} ({error}).",
            fix="install the onnxruntime that the archive was exported with, or export again.",
        ) from error
