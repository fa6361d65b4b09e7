"""The modalities: kinds of learners by what they read. One module or package each, named like the modality.

A modality is an object without state of its own, in its module's `MODALITY`. It does all that depends on what a learner
reads: it recognises the learner, converts its transforms, makes golden records, and configures workers.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from torch import nn

from fastmar_export import extensions
from fastmar_export.conversion import Conversion, State
from fastmar_export.converters import Converter, Domain, registered
from fastmar_export.dropped import reason_to_drop, transform_is_getter
from fastmar_export.errors import ExportError, UnsupportedLearner
from fastmar_export.learner import Learner, name_of
from fastmar_export.networks.graph import Tolerance
from fastmar_export.networks.listing import unknown_layers
from fastmar_export.options import Options
from fastmar_export.targets import TARGET_TRANSFORMS, Notice
from fastmar_runtime import registry
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Spec

Arrays = dict[str, npt.NDArray[Any]]

SOURCE = Domain("source")
"""Pipelines that make items and targets; they have no converters."""

_RAW_BODIES = {"raw_bodies": True}  # the runtime reads bodies itself, so that TorchServe's front passes them as bytes
_SHOWN = 5  # layers that a refusal names


class Modality(ABC):
    """One kind of learner.

    Attributes:
        name: the spec's `kind`.
        reads: what its learners read, in the plural, for messages.
        loaders: the class of fastai's loaders for such learners, for messages.
        classes: of such learners, their loaders and data loaders, beside those that all modalities have.
        tolerance: for differences between the graph and the network.
        domains: of the transforms, by the pipeline's attribute in the learner.
        options: names of the `Options`, None by default, that this modality takes and others do not.
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
        """Raise `ExportError` where one of the modality's own options makes no sense."""

    @abstractmethod
    def convert(self, learner: Learner, options: Options) -> Conversion:
        """Fields, steps and layers of `learner`.

        Raises:
            ExportError: it holds what can't be converted.
        """

    @abstractmethod
    def golden(self, conversion: Conversion) -> list[Any]:
        """Records that prove the archive, made without any training data."""

    @abstractmethod
    def decoder(
        self, conversion: Conversion, learner: Learner, shape: tuple[int, ...], asked: str | None
    ) -> tuple[State, list[Notice]]:
        """The decoder's state, and notices about it.

        Args:
            conversion: of the learner.
            learner: its loss says how outputs become answers.
            shape: of the network's output for one record.
            asked: activation that the user named, or None.

        Raises:
            ExportError: the network's output does not fit the targets.
        """

    def trying(self, conversion: Conversion) -> AbstractContextManager[None]:
        """A context for the first run of the network, which may add to a `ParityFailed` what was tried."""
        return nullcontext()

    def prove(
        self,
        conversion: Conversion,
        network: nn.Module,
        predictor: Predictor,
        samples: Arrays,
        expected: npt.NDArray[np.float32],
    ) -> float:
        """The largest difference that further comparisons of the graph and the network find.

        Args:
            conversion: of the learner.
            network: in evaluation mode, behind its layers.
            predictor: runs the graph.
            samples: inputs that were compared already.
            expected: the network's output for `samples`.

        Raises:
            ParityFailed: a difference is too large.
        """
        return 0.0

    @abstractmethod
    def workers(self) -> dict[str, Any]:
        """What `model-config.yaml` says about the model's workers."""

    def provenance(self) -> dict[str, Any]:
        """Versions of libraries that decide answers, for the spec."""
        return {}

    def becomes(self, transform: Any, domain: Domain | None) -> str | None:
        """What an archive makes of `transform`, in words; None where it can't be served."""
        return becomes(transform, domain)

    def supported(self) -> list[tuple[str, str, str]]:
        """Class path, domain and what it becomes, for transforms that are served without a converter."""
        return []

    @abstractmethod
    def summary(self, spec: Spec) -> list[tuple[str, str]]:
        """Name and description of each field, as a notebook shows them."""


def worker_configuration(*, batch: int, seconds: int, threads: int) -> dict[str, Any]:
    """`model-config.yaml` for workers with micro-batches of `batch` records, which may take `seconds`.

    One worker with micro-batches beats more workers at the sizes in use: `make bench` prints both. A lone request waits
    at most the delay, one millisecond. 0 `threads` are as many as there are cores for each worker.
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
        UnsupportedLearner: it is of none.
    """
    known = modalities().values()
    for modality in known:
        if modality.matches(learner):
            return modality
    raise UnsupportedLearner(
        f"the learner reads {learner.reads} (learn.dls is {name_of(learner.record.get('dls'))}){_layers(learner)}; "
        f"fastmar serves learners of {' and of '.join(modality.reads for modality in known)}.",
        fix="write a TorchServe handler for this learner, or train one with fastai's "
        f"{' or '.join(modality.loaders for modality in known)} and export that.",
    )


def _layers(learner: Learner) -> str:
    unknown = unknown_layers(learner.model)
    if not unknown:
        return ""
    more = f" and {len(unknown) - _SHOWN} more" * (len(unknown) > _SHOWN)
    return f", and its network has layers that fastmar does not know: {', '.join(unknown[:_SHOWN])}{more}"


def check_options(modality: Modality, options: Options) -> None:
    """Refuse options that `modality` does not take.

    Raises:
        ExportError: they are of another modality, or make no sense.
    """
    for other in modalities().values():
        foreign = set(other.options) - set(modality.options)
        if any(getattr(options, name) is not None for name in foreign):
            flags = " and ".join(f"--{name.replace('_', '-')}" for name in other.options)
            raise ExportError(f"the learner is {modality.name}, and reads no {other.reads}.", fix=f"leave {flags} out.")
    modality.check_options(options)


def converters() -> dict[tuple[str, Domain], Converter]:
    """All converters by class path and domain."""
    modalities()
    return registered()


def becomes(transform: Any, domain: Domain | None) -> str | None:
    """What an archive makes of `transform` in any modality, in words; None where it can't be served."""
    path = name_of(transform)
    if path in TARGET_TRANSFORMS:
        return "the answer's labels"
    if domain is not None and (found := converters().get((path, domain))) is not None:
        return domain.describe(found)
    if reason_to_drop(transform) is not None or (domain == SOURCE and transform_is_getter(path)):
        return "nothing: only training needs it"
    return None
