"""A learner's pickle to an archive: the whole way, one call for each station."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch

from fastmar_export.archive import Bundle, check_output, created, write_archive
from fastmar_export.callbacks import check_callbacks
from fastmar_export.errors import ExportError, UnsupportedLearner
from fastmar_export.golden import golden_records
from fastmar_export.learner import Learner, check_classes, open_learner
from fastmar_export.networks.graph import check_alone, check_graph, export_graph
from fastmar_export.networks.rebuild import rebuild
from fastmar_export.reader import LearnerFile, read_torch_file, require_learner
from fastmar_export.reference import refine
from fastmar_export.tabular import POSITIONS, Conversion, convert_tabular
from fastmar_export.targets import decoder_state
from fastmar_runtime import __version__
from fastmar_runtime.golden import OUTPUT, Golden, check_golden
from fastmar_runtime.predictor import Predictor, Preprocessor
from fastmar_runtime.spec import PROTOCOL, Spec

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")


@dataclass(frozen=True, slots=True)
class Options:
    """What the user may say about an export.

    Attributes:
        name, version: of the model.
        output: folder that the archive goes to.
        activation: how outputs become predictions, where the loss does not tell.
        ignored_callbacks: callbacks, by class name, that change no answer.
        reference: CSV of rows that tell defaults and ranges of the fields.
        force: replace an archive of another version.
    """

    name: str
    version: str = "1.0"
    output: Path = Path("model_store")
    activation: str | None = None
    ignored_callbacks: Sequence[str] = ()
    reference: Path | None = None
    force: bool = False


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of an export.

    Attributes:
        path: of the archive.
        spec: what it says of itself.
        source: the learner's file as it was read.
        difference: the largest between the graph and the torch network on the golden records.
    """

    path: Path
    spec: Spec
    source: LearnerFile
    difference: float


def export_learner(
    pickle: str | Path,
    options: Options,
    on_stage: Callable[[str], None] = lambda _: None,
    on_read: Callable[[LearnerFile], None] = lambda _: None,
) -> Exported:
    """Turn the learner in `pickle` into an archive; runs nothing that the file names.

    Args:
        pickle: written by `learn.export()` of any fastai 2.
        options: see there.
        on_stage: told what is being done, before each stage.
        on_read: given the file as it was read, also where it turns out that it can't be exported.

    Raises:
        FastmarError: it can't be read, converted or proved; nothing is written then.
    """
    _check_name(options)
    check_output(options.output, options.name, options.version, force=options.force)
    on_stage("Reading the pickle, without running it")
    source = read_torch_file(pickle)
    on_read(source)
    require_learner(source.root)
    learner = open_learner(source.root)
    on_stage("Converting the transforms")
    check_classes(learner)
    dropped = check_callbacks(learner, list(options.ignored_callbacks))
    conversion = _convert(learner)
    on_stage("Rebuilding the network")
    network = rebuild(learner.model)
    on_stage("Exporting the network to ONNX")
    draft = _draft(options, conversion, source, dropped)
    records = golden_records(draft)
    samples = _samples(draft, records)
    graph, expected = export_graph(network, samples, POSITIONS)
    spec = _finish(draft, options, conversion, learner, graph, expected)
    on_stage("Proving that the graph answers as the network does")
    predictor = Predictor(spec, graph.model)
    difference = check_graph(predictor.run(samples), expected)
    check_alone(predictor.run({name: array[:1] for name, array in samples.items()}), expected[:1])
    golden = Golden(records, predictor.predict(records), {**samples, OUTPUT: expected})
    check_golden(predictor, golden)
    on_stage("Writing the archive")
    path = write_archive(Bundle(spec, graph.model, golden), options.output, force=options.force)
    return Exported(path, spec, source, difference)


def _check_name(options: Options) -> None:
    if not _NAME.fullmatch(options.name):
        raise ExportError(
            f"the name {options.name!r} can't be a part of a URL.",
            fix="use letters, digits, '-', '_' and '.', beginning with a letter or digit.",
        )
    if not _VERSION.fullmatch(options.version):
        raise ExportError(f"the version is {options.version!r}.", fix="use numbers and dots, such as 1.0.")


def _convert(learner: Learner) -> Conversion:
    if learner.kind != "tabular":
        raise UnsupportedLearner(
            f"the learner reads {learner.kind}, which this version of fastmar can't serve.",
            fix="export a tabular learner; `fastmar --version` tells what is installed here.",
        )
    return convert_tabular(learner)


def _draft(options: Options, conversion: Conversion, source: LearnerFile, dropped: list[dict[str, str]]) -> Spec:
    """The spec as far as it is known before the network ran."""
    date = created()
    return Spec(
        protocol=PROTOCOL,
        name=options.name,
        version=options.version,
        kind="tabular",
        runtime=__version__,
        fields=refine(conversion.fields, options.reference) if options.reference else conversion.fields,
        steps=conversion.steps,
        inputs=(),
        outputs=(),
        decode={},
        targets=conversion.targets,
        dropped=tuple(dropped),
        provenance={
            "pickle": {"sha256": source.sha256, "bytes": source.size},
            "fastmar": __version__,
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
            "python": platform.python_version(),
            "created": date.isoformat() if date else None,
        },
    )


def _samples(draft: Spec, records: list[dict[str, Any]]) -> dict[str, npt.NDArray[Any]]:
    samples, report = Preprocessor(draft)(records)
    if report.errors:
        error = next(iter(report.errors.values()))
        raise ExportError(
            f"a record made from the learner's own vocabulary was refused: {error.message}", fix=error.fix
        )
    return samples


def _finish(
    draft: Spec,
    options: Options,
    conversion: Conversion,
    learner: Learner,
    graph: Any,
    expected: npt.NDArray[np.float32],
) -> Spec:
    size = int(np.prod(expected.shape[1:]))
    decode, notices = decoder_state(
        conversion.target_transforms, list(conversion.targets), learner.loss, size, options.activation
    )
    return replace(
        draft,
        inputs=graph.inputs,
        outputs=graph.outputs,
        decode=decode,
        notices=tuple(conversion.notices + notices),
    )
