"""A learner's pickle to an archive: the whole way, one call for each station."""

from __future__ import annotations

import platform
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from torch import nn

from fastmar_export.archive import Bundle, check_output, created, write_archive
from fastmar_export.callbacks import check_callbacks
from fastmar_export.conversion import Conversion
from fastmar_export.errors import ExportError, ParityFailed
from fastmar_export.extensions import layer_packages
from fastmar_export.golden_pictures import OPEN_SIZE
from fastmar_export.kinds import kind_of
from fastmar_export.learner import check_classes, open_learner
from fastmar_export.networks.graph import check_alone, check_graph, export_graph
from fastmar_export.networks.rebuild import rebuild
from fastmar_export.options import FIRST_VERSION, Options
from fastmar_export.presentation import read_ui
from fastmar_export.reader import LearnerFile, read_torch_file, require_learner
from fastmar_export.reference import refine
from fastmar_export.replacement import check_same_model, check_same_pickle, check_version
from fastmar_runtime import __version__
from fastmar_runtime.golden import OUTPUT, Golden, check_golden, thinned
from fastmar_runtime.modalities import modality
from fastmar_runtime.pillow_versions import pillow_versions
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import PROTOCOL, VISION, Spec

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
    kind = kind_of(learner)
    _check_kind(options, learner.kind)
    on_stage("Converting the transforms")
    check_classes(learner)
    dropped = check_callbacks(learner, list(options.ignored_callbacks))
    conversion = kind.convert(learner, options)
    on_stage("Rebuilding the network")
    network = rebuild(learner.model, modules=[*options.modules, *layer_packages()])
    network = nn.Sequential(*(layer.module for layer in conversion.layers), network) if conversion.layers else network
    on_stage("Exporting the network to ONNX")
    draft = _draft(options, learner.kind, conversion, source, dropped)
    records = kind.golden(draft)
    samples = _samples(draft, records)
    try:
        graph, expected = export_graph(network.eval(), samples, kind.positions, conversion.open_axes)
        decode, notices = kind.decoder(
            conversion.target_transforms, list(conversion.targets), learner, expected.shape[1:], options.activation
        )
    except ParityFailed as error:
        if not conversion.open_axes:
            raise
        size = " x ".join(map(str, OPEN_SIZE))
        raise ParityFailed(
            f"the learner takes pictures as they come, and on one of {size} pixels {error.message}",
            fix=f"{error.fix} If all its pictures have one size, export with --picture-size WIDTHxHEIGHT.",
        ) from error
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
    difference = check_graph(predictor.run(samples), expected, image=kind.image)
    check_alone(predictor.run({name: array[:1] for name, array in samples.items()}), expected[:1])
    if conversion.open_axes:
        difference = max(difference, _check_other_size(network, predictor, samples, expected))
    golden = Golden(records, predictor.predict(records), {**samples, OUTPUT: thinned(expected)})
    check_golden(predictor, golden)
    on_stage("Writing the archive")
    bundle = Bundle(spec, graph.model, golden)
    if options.live and not options.force:
        check_same_model(archive, bundle)
    path = write_archive(bundle, options.output)
    return Exported(path, spec, source, difference)


def _check_other_size(
    network: nn.Module, predictor: Predictor, samples: dict[str, npt.NDArray[Any]], first: npt.NDArray[np.float32]
) -> float:
    """Largest difference on pictures of another size than the graph was made with, whose output was `first`.

    Raises:
        ParityFailed: it is too large, or the network takes no other size.
    """
    (name, pictures), *_ = samples.items()
    other = {name: np.ascontiguousarray(np.pad(pictures, ((0, 0), (0, 0), (0, 37), (0, 101)), "reflect"))}
    try:
        with torch.no_grad():
            expected = network(torch.from_numpy(other[name])).numpy()
        if expected.ndim == 2 and expected.shape[1:] != first.shape[1:]:
            raise ValueError("the number of outputs depends on the picture's size")
        return check_graph(predictor.run(other), expected, image=True)
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        raise ParityFailed(
            "the learner takes pictures of any size, and its network's graph does not.",
            fix="export with --picture-size WIDTHxHEIGHT if all pictures have one size; otherwise train with Resize "
            "among the item transforms.",
        ) from error


def _check_name(options: Options) -> None:
    if not _NAME.fullmatch(options.name):
        raise ExportError(
            f"the name {options.name!r} can't be a part of a URL.",
            fix="use letters, digits, '-', '_' and '.', beginning with a letter or digit.",
        )
    if not _VERSION.fullmatch(options.version):
        raise ExportError(f"the version is {options.version!r}.", fix="use numbers and dots, such as 1.0.")


def _check_kind(options: Options, kind: str) -> None:
    if kind != VISION and (options.picture_size, options.max_pixels) != (None, None):
        raise ExportError(
            f"the learner is {kind}, and reads no pictures.", fix="leave --picture-size and --max-pixels out."
        )
    if options.max_pixels is not None and options.max_pixels < prod(OPEN_SIZE):
        raise ExportError(
            f"a limit of {options.max_pixels:,} pixels is too low to try the learner with.",
            fix=f"give a --max-pixels of {prod(OPEN_SIZE):,} or more.",
        )


def _draft(
    options: Options, kind: str, conversion: Conversion, source: LearnerFile, dropped: list[dict[str, str]]
) -> Spec:
    """The spec as far as it is known before the network ran."""
    date = created()
    return Spec(
        protocol=PROTOCOL,
        name=options.name,
        version=options.version,
        kind=kind,
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
            **(pillow_versions() if kind == VISION else {}),
            "created": date.isoformat() if date else None,
        },
    )


def _samples(draft: Spec, records: list[dict[str, Any]]) -> dict[str, npt.NDArray[Any]]:
    samples, report = modality(draft.kind).preprocessor(draft)(records)
    if report.errors:
        error = next(iter(report.errors.values()))
        raise ExportError(
            f"a record made from the learner's own vocabulary was refused: {error.message}", fix=error.fix
        )
    return samples
