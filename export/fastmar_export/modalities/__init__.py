"""Modalities: kinds of learners by their input. Each has a module or package with its name.

A modality is a stateless object, in its module's `MODALITY`. It does everything that depends on the learner's input: it
recognises the learner, converts its transforms, makes golden records, and configures workers.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from torch import nn

from fastmar_export import extensions
from fastmar_export.bundle import Bundle
from fastmar_export.conversion import Conversion, State
from fastmar_export.converters import Converter, Domain, registered_converters
from fastmar_export.dropped_transforms import is_getter, reason_to_drop
from fastmar_export.errors import ExportError, UnsupportedLearner
from fastmar_export.learner import Learner, name_of
from fastmar_export.networks.graph import Tolerance
from fastmar_export.networks.listing import unknown_layers
from fastmar_export.networks.passes import Pass
from fastmar_export.options import Options
from fastmar_export.targets import TARGET_TRANSFORMS, Notice
from fastmar_runtime import registry
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Spec

Arrays = dict[str, npt.NDArray[Any]]

SOURCE = Domain("source")
"""Pipelines that make items and targets; they have no converters."""

_RAW_BODIES = {"raw_bodies": True}  # TorchServe's front must pass bodies as bytes, because the runtime parses them
_MAX_SHOWN = 5  # layers that an error lists


class Modality(ABC):
    """One kind of learner.

    Attributes:
        name: the spec's `kind`.
        reads: the input of its learners, in the plural, for messages.
        loaders: fastai's class of data loaders for such learners, for messages.
        classes: class paths of its learners and data loaders, in addition to those of all modalities.
        tolerance: tolerance for differences between the graph and the network.
        domains: domains of the transforms, by the pipeline's attribute in the learner; ``tls`` for those of the input.
        options: names of `Options` that only this modality has; their default is None.
    """

    name: ClassVar[str]
    reads: ClassVar[str]
    loaders: ClassVar[str]
    classes: ClassVar[tuple[str, ...]] = ()
    tolerance: ClassVar[Tolerance]
    domains: ClassVar[Mapping[str, Domain]]
    options: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def matches(self, learner: Learner) -> bool:
        """Whether `learner` is of this kind."""

    def check_options(self, options: Options) -> None:  # noqa: B027 - most options need no check
        """Raise `ExportError` if an option of this modality is invalid."""

    @abstractmethod
    def convert(self, learner: Learner, options: Options) -> Conversion:
        """Fields, steps and layers of `learner`.

        Raises:
            ExportError: a part of it can't be converted.
        """

    @abstractmethod
    def golden(self, conversion: Conversion) -> list[Any]:
        """The golden records, made without training data."""

    def assemble(
        self,
        network: nn.Module,
        conversion: Conversion,
        learner: Learner,
        options: Options,
    ) -> nn.Module:
        """The network with the layers before it.

        Raises:
            ExportError: an option can't be applied to the learner's loss.
        """
        layers = [layer.module for layer in conversion.layers]
        return nn.Sequential(*layers, network) if layers else network

    @abstractmethod
    def decoder(
        self, conversion: Conversion, learner: Learner, shape: tuple[int, ...], requested: str | None
    ) -> tuple[State, list[Notice]]:
        """The decoder's state, and notices about it.

        Args:
            conversion: the converted learner.
            learner: the learner, whose loss determines how outputs become answers.
            shape: shape of the network's output for one record.
            requested: activation that the user requested, or None.

        Raises:
            ExportError: the network's output does not match the targets.
        """

    def states(self, network: nn.Module) -> Mapping[str, int]:
        """Names and sizes of the states that `network` returns, after other outputs, and takes with the next input."""
        return {}

    def passes(self, conversion: Conversion) -> Sequence[Pass]:
        """The passes that make the graph of a learner faster."""
        return ()

    def export_context(self, conversion: Conversion) -> AbstractContextManager[None]:
        """A context for the first run of the network, which may add details to a `ParityFailed`."""
        return nullcontext()

    def verify(
        self,
        conversion: Conversion,
        network: nn.Module,
        predictor: Predictor,
        samples: Arrays,
        expected: npt.NDArray[np.float32],
    ) -> float:
        """Compare the graph and the network on additional inputs, and return the largest difference.

        Args:
            conversion: the converted learner.
            network: the network in evaluation mode, with the layers before it.
            predictor: runs the graph.
            samples: inputs that are already compared.
            expected: the network's output for `samples`.

        Raises:
            ParityFailed: a difference exceeds the tolerance.
        """
        return 0.0

    def finish(self, bundle: Bundle, options: Options) -> Bundle:
        """The content of the archive, made of the verified `bundle`.

        Raises:
            ExportError: an option can't be applied.
        """
        return bundle

    @abstractmethod
    def workers(self) -> dict[str, Any]:
        """The content of `model-config.yaml`: the configuration of the model's workers."""

    def provenance(self) -> dict[str, Any]:
        """Versions of libraries that influence answers, for the spec."""
        return {}

    def becomes(self, transform: Any, domain: Domain | None) -> str | None:
        """A text that says what `transform` becomes in an archive; None if it is not supported."""
        return becomes(transform, domain)

    def supported(self) -> list[tuple[str, str, str]]:
        """Class path, domain and result of the conversion, for transforms that are supported without a converter."""
        return []

    @abstractmethod
    def summary(self, spec: Spec) -> list[tuple[str, str]]:
        """Name and description of each field, for a notebook."""


def worker_configuration(*, batch: int, seconds: int, threads: int) -> dict[str, Any]:
    """The content of `model-config.yaml`.

    One worker with micro-batches is faster than several workers for models of the usual sizes; `make bench` measures
    both. A single request waits at most the batch delay of one millisecond.

    Args:
        batch: maximum number of records of a micro-batch.
        seconds: time limit of a micro-batch.
        threads: threads of a worker; 0 for one thread for each core.
    """
    return {
        "minWorkers": 1,
        "maxWorkers": 1,
        "batchSize": batch,
        "maxBatchDelay": 1,
        "responseTimeout": seconds,
        "fastmar": {"threads": threads, **_RAW_BODIES},
    }


@cache
def modalities() -> dict[str, Modality]:
    """All modalities by name, with their converters registered: modules of this folder, and those of extensions.

    Raises:
        ExportError: an installed extension can't be imported.
    """
    names = registry.names("modalities", "fastmar_export")
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    extensions.check_extensions()
    modules += extensions.load_entry_points(extensions.MODALITIES)
    return {module.MODALITY.name: module.MODALITY for module in modules}


def modality_of(learner: Learner) -> Modality:
    """The modality of `learner`.

    Raises:
        UnsupportedLearner: no modality matches.
        ExportError: an installed extension can't be imported.
    """
    known = modalities().values()
    for modality in known:
        if modality.matches(learner):
            return modality
    raise UnsupportedLearner(
        f"the learner reads {learner.reads} (learn.dls is {name_of(learner.record.get('dls'))}){_layers(learner)}; "
        f"fastmar serves learners of {' and of '.join(modality.reads for modality in known)}.",
        fix="write a TorchServe handler for this learner, or train a learner with fastai's "
        f"{' or '.join(modality.loaders for modality in known)} and export that.",
        code="unknown_modality",
    )


def _layers(learner: Learner) -> str:
    unknown = unknown_layers(learner.model)
    if not unknown:
        return ""
    more = f" and {len(unknown) - _MAX_SHOWN} more" * (len(unknown) > _MAX_SHOWN)
    return f", and its network has layers that fastmar does not know: {', '.join(unknown[:_MAX_SHOWN])}{more}"


def check_options(modality: Modality, options: Options) -> None:
    """Refuse options that `modality` does not have.

    Raises:
        ExportError: an option belongs to another modality, or is invalid.
    """
    for other in modalities().values():
        foreign = [name for name in other.options if name not in modality.options]
        if given := [name for name in foreign if getattr(options, name) is not None]:
            flags = " and ".join(f"--{name.replace('_', '-')}" for name in given)
            verb = "applies" if len(given) == 1 else "apply"
            raise ExportError(
                f"{flags} {verb} to learners of {other.reads}; this is a learner of {modality.reads}.",
                fix=f"remove {flags}.",
                code="option_not_applicable",
            )
    modality.check_options(options)


def converters() -> dict[tuple[str, Domain], Converter]:
    """All converters by class path and domain."""
    modalities()
    return registered_converters()


def becomes(transform: Any, domain: Domain | None) -> str | None:
    """A text that says what `transform` becomes in an archive of any modality; None if it is not supported."""
    path = name_of(transform)
    if path in TARGET_TRANSFORMS:
        return "the answer's labels"
    if domain is not None and (found := converters().get((path, domain))) is not None:
        return domain.describe(found)
    if reason_to_drop(transform) is not None or (domain == SOURCE and is_getter(path)):
        return "nothing: only training needs it"
    return None
