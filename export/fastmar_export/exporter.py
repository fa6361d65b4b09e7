"""Exports a learner's pickle to an archive, with one function for each stage."""

from __future__ import annotations

import platform
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import onnx
import onnxruntime
import torch

from fastmar_export.archive import check_output, creation_date, write_archive
from fastmar_export.bundle import Bundle
from fastmar_export.callbacks import check_callbacks
from fastmar_export.conversion import Conversion
from fastmar_export.errors import ExportError
from fastmar_export.extensions import layer_packages
from fastmar_export.learner import Learner, check_classes, open_learner
from fastmar_export.modalities import Modality, check_options, modality_of
from fastmar_export.network_export import ExportedNetwork, export_network, spec_of_inputs, verify
from fastmar_export.networks.rebuild import rebuild
from fastmar_export.options import FIRST_VERSION, Options
from fastmar_export.reader import LearnerFile, errors_naming_file, read_torch_file, require_learner
from fastmar_export.recommender import recommender
from fastmar_export.reference import add_profile, refine
from fastmar_export.replacement import check_same_model, check_same_pickle, check_version
from fastmar_export.ui_file import read_ui
from fastmar_runtime import __version__
from fastmar_runtime.spec import PROTOCOL, Spec

__all__ = ["ExportResult", "Options", "export_learner"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The result of an export.

    Attributes:
        path: path of the archive.
        spec: the archive's spec.
        source: the content of the learner's file.
        difference: largest difference between outputs of the graph and of the torch network on the golden records.
    """

    path: Path
    spec: Spec
    source: LearnerFile
    difference: float


def next_step(archive: Path, version: str) -> str:
    """The command to run next: `serve` for a first version, `deploy` for a later one."""
    serve = shlex.join(["fastmar", "serve", "--model-store", str(archive.parent)])
    if version == FIRST_VERSION:
        return serve
    return f"{shlex.join(['fastmar', 'deploy', str(archive)])} (or {serve})"


def export_learner(
    pickle: str | Path,
    options: Options,
    on_stage: Callable[[str], None] = lambda _: None,
    on_read: Callable[[LearnerFile], None] = lambda _: None,
) -> ExportResult:
    """Export the learner in `pickle`, without running anything that the file names.

    Args:
        pickle: file written by `learn.export()` of any fastai 2.
        options: the options of the export.
        on_stage: called before each stage with its description.
        on_read: called with the content of the file, even if the learner turns out to be unsupported.

    Raises:
        FastmarError: the learner can't be read, converted or verified; no archive is written.
    """
    archive = _check_request(options)
    on_stage("Reading the pickle, without running it")
    source = _read(Path(pickle), archive, options, on_read)
    learner = open_learner(source.root)
    modality = modality_of(learner)
    check_options(modality, options)
    on_stage("Converting the transforms")
    conversion = _convert(learner, modality, options)
    on_stage("Rebuilding the network")
    network = rebuild(learner.model, modules=[*options.modules, *layer_packages()])
    network = modality.assemble(network, conversion, learner, options)
    on_stage("Exporting the network to ONNX")
    exported = export_network(network, learner, modality, conversion, options.activation)
    spec = _spec(options, source, modality, conversion, exported)
    on_stage("Verifying that the graph answers as the network does")
    golden, difference = verify(exported, spec, modality, conversion)
    bundle = modality.finish(Bundle(spec, exported.graph.model, golden), options)
    if options.reference is not None:
        bundle = add_profile(bundle, options.reference, on_stage)
    on_stage("Writing the archive")
    path = _write(bundle, archive, options)
    return ExportResult(path, bundle.spec, source, difference)


def _check_request(options: Options) -> Path:
    """Check what does not depend on the learner, and return the archive's path."""
    _check_name(options)
    creation_date()
    archive = check_output(options.output, options.name)
    if not options.force:
        check_version(archive, options.version)
    return archive


def _read(pickle: Path, archive: Path, options: Options, on_read: Callable[[LearnerFile], None]) -> LearnerFile:
    source = read_torch_file(pickle)
    on_read(source)
    with errors_naming_file(pickle):
        require_learner(source.root)
    if not (options.force or options.live):  # each pickle of a live learner has another digest
        check_same_pickle(archive, source, pickle)
    return source


def _convert(learner: Learner, modality: Modality, options: Options) -> Conversion:
    check_classes(learner, modality.classes)
    dropped = check_callbacks(learner, list(options.ignored_callbacks))
    conversion = modality.convert(learner, options)
    fields = conversion.fields
    if options.reference is not None:
        fields = refine(spec_of_inputs(modality, conversion), options.reference)
    return replace(conversion, fields=fields, dropped=[*conversion.dropped, *dropped])


def _check_name(options: Options) -> None:
    if not _NAME.fullmatch(options.name):
        raise ExportError(
            f"the name {options.name!r} can't be part of a URL.",
            fix="use the letters a-z and A-Z, digits, '-', '_' and '.', starting with a letter or digit.",
            code="invalid_name",
        )
    if not _VERSION.fullmatch(options.version):
        raise ExportError(
            f"the version {options.version!r} is not made of numbers and dots.",
            fix="use a version such as 1.0.",
            code="invalid_version",
        )


def _spec(
    options: Options, source: LearnerFile, modality: Modality, conversion: Conversion, exported: ExportedNetwork
) -> Spec:
    date = creation_date()
    spec = Spec(
        protocol=PROTOCOL,
        name=options.name,
        version=options.version,
        kind=modality.name,
        runtime=__version__,
        fields=conversion.fields,
        steps=conversion.steps,
        inputs=exported.graph.inputs,
        outputs=exported.graph.outputs,
        decode=exported.decode,
        targets=conversion.targets,
        layers=conversion.layer_states,
        notices=(*conversion.notices, *exported.notices),
        dropped=tuple(conversion.dropped),
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
        recommender=recommender(conversion, exported),
        generator=conversion.generator,
    )
    return spec if options.ui is None else replace(spec, ui=read_ui(options.ui, spec))


def _write(bundle: Bundle, archive: Path, options: Options) -> Path:
    if options.live and not options.force:
        check_same_model(archive, bundle)
    return write_archive(bundle, options.output)
