"""A learner's pickle to an archive: the whole way, one call for each station."""

from __future__ import annotations

import platform
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import nn

from fastmar_export.archive import Bundle, check_output, created, write_archive
from fastmar_export.callbacks import check_callbacks
from fastmar_export.conversion import Conversion
from fastmar_export.errors import ExportError
from fastmar_export.learner import check_classes, open_learner
from fastmar_export.modalities import Modality, check_options, modality_of
from fastmar_export.networks.graph import check_alone, check_graph, export_graph
from fastmar_export.networks.rebuild import rebuild
from fastmar_export.options import FIRST_VERSION, Options
from fastmar_export.presentation import read_ui
from fastmar_export.reader import LearnerFile, read_torch_file, require_learner
from fastmar_export.reference import refine
from fastmar_export.replacement import check_same_model, check_same_pickle, check_version
from fastmar_runtime import __version__
from fastmar_runtime.golden import OUTPUT, Golden, check_golden, thinned
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.preprocess import load_preprocessor
from fastmar_runtime.spec import PROTOCOL, Spec

__all__ = ["Exported", "Options", "export_learner"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")


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


def next_step(archive: Path, version: str) -> str:
    """What to run next: a first version is served, a later one is deployed where an earlier one is served."""
    serve = shlex.join(["fastmar", "serve", "--model-store", str(archive.parent)])
    if version == FIRST_VERSION:
        return serve
    return f"{shlex.join(['fastmar', 'deploy', str(archive)])} (or {serve})"


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
    archive = check_output(options.output, options.name)
    if not options.force:
        check_version(archive, options.version)
    on_stage("Reading the pickle, without running it")
    source = read_torch_file(pickle)
    on_read(source)
    require_learner(source.root)
    if not (options.force or options.live):
        check_same_pickle(archive, source, Path(pickle))
    learner = open_learner(source.root)
    modality = modality_of(learner)
    check_options(modality, options)
    on_stage("Converting the transforms")
    check_classes(learner)
    dropped = check_callbacks(learner, list(options.ignored_callbacks))
    conversion = modality.convert(learner, options)
    on_stage("Rebuilding the network")
    network = rebuild(learner.model, modules=options.modules)
    network = nn.Sequential(*(layer.module for layer in conversion.layers), network) if conversion.layers else network
    on_stage("Exporting the network to ONNX")
    draft = _draft(options, modality, conversion, source, dropped)
    records = modality.golden(replace(conversion, fields=draft.fields))
    samples = _samples(draft, records)
    with modality.trying(conversion):
        graph, expected = export_graph(network.eval(), samples, conversion.positions, conversion.open_axes)
        decode, notices = modality.decoder(conversion, learner, expected.shape[1:], options.activation)
    spec = replace(
        draft,
        inputs=graph.inputs,
        outputs=graph.outputs,
        decode=decode,
        notices=tuple(conversion.notices + notices),
    )
    if options.ui is not None:
        spec = replace(spec, ui=read_ui(options.ui, spec))
    on_stage("Proving that the graph answers as the network does")
    predictor = Predictor(spec, graph.model)
    difference = check_graph(predictor.run(samples), expected, modality.tolerance)
    check_alone(predictor.run({name: array[:1] for name, array in samples.items()}), expected[:1])
    difference = max(difference, modality.prove(conversion, network, predictor, samples, expected))
    golden = Golden(records, predictor.predict(records), {**samples, OUTPUT: thinned(expected)})
    check_golden(predictor, golden)
    on_stage("Writing the archive")
    bundle = Bundle(spec, graph.model, golden)
    if options.live and not options.force:
        check_same_model(archive, bundle)
    path = write_archive(bundle, options.output)
    return Exported(path, spec, source, difference)


def _check_name(options: Options) -> None:
    if not _NAME.fullmatch(options.name):
        raise ExportError(
            f"the name {options.name!r} can't be a part of a URL.",
            fix="use letters, digits, '-', '_' and '.', beginning with a letter or digit.",
        )
    if not _VERSION.fullmatch(options.version):
        raise ExportError(f"the version is {options.version!r}.", fix="use numbers and dots, such as 1.0.")


def _draft(
    options: Options, modality: Modality, conversion: Conversion, source: LearnerFile, dropped: list[dict[str, str]]
) -> Spec:
    """The spec as far as it is known before the network ran."""
    date = created()
    return Spec(
        protocol=PROTOCOL,
        name=options.name,
        version=options.version,
        kind=modality.name,
        runtime=__version__,
        fields=refine(conversion.fields, options.reference) if options.reference else conversion.fields,
        steps=conversion.steps,
        inputs=(),
        outputs=(),
        decode={},
        targets=conversion.targets,
        layers=tuple(layer.state for layer in conversion.layers),
        dropped=(*conversion.dropped, *dropped),
        provenance={
            "pickle": {"sha256": source.sha256, "bytes": source.size},
            "fastmar": __version__,
            "torch": torch.__version__,
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
            "python": platform.python_version(),
            **modality.provenance(),
            "created": date.isoformat() if date else None,
        },
    )


def _samples(draft: Spec, records: list[dict[str, Any]]) -> dict[str, npt.NDArray[Any]]:
    samples, report = load_preprocessor(draft)(records)
    if report.errors:
        error = next(iter(report.errors.values()))
        raise ExportError(
            f"a record made from the learner's own vocabulary was refused: {error.message}", fix=error.fix
        )
    return samples
