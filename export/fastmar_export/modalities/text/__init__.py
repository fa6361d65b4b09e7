"""The modality of learners whose input is a text."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from torch import nn

from fastmar_export.bundle import Bundle
from fastmar_export.conversion import Conversion, State
from fastmar_export.converters import Domain
from fastmar_export.learner import DATASETS, Learner, as_list, name_of
from fastmar_export.modalities import Arrays, Modality, worker_configuration
from fastmar_export.modalities.text import converters  # noqa: F401 - registers them
from fastmar_export.modalities.text.conversion import PADDING, convert_text, is_language_model
from fastmar_export.modalities.text.domains import TEXT
from fastmar_export.modalities.text.golden import golden_texts
from fastmar_export.modalities.text.lengths import check_other_lengths
from fastmar_export.modalities.text.precision import check_precision, reduce_precision
from fastmar_export.networks.fastai_text import state_sizes
from fastmar_export.networks.graph import DEEP
from fastmar_export.options import Options
from fastmar_export.targets import TOP_K, Notice, decoder_state
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Spec

NUMERICALIZE = "fastai.text.data.Numericalize"


class Text(Modality):
    """Learners whose input is a text."""

    name = "text"
    reads = "texts"
    loaders = "TextDataLoaders"
    classes = (
        *("fastai.text.learner.TextLearner", "fastai.text.data.TextDataLoaders", "fastai.text.data.SortedDL"),
        *("fastai.text.data.LMDataLoader", "fastai.text.learner.LMLearner"),
    )
    tolerance = DEEP
    options = ("precision", "max_changed", "text_column")
    domains: ClassVar[Mapping[str, Domain]] = {"tls": TEXT}

    def matches(self, learner: Learner) -> bool:
        return learner.dataset.path == DATASETS and NUMERICALIZE in map(name_of, learner.input_transforms)

    def check_options(self, options: Options) -> None:
        check_precision(options)

    def convert(self, learner: Learner, options: Options) -> Conversion:
        return convert_text(learner, options.text_column or ())

    def golden(self, conversion: Conversion) -> list[Any]:
        return golden_texts(conversion.fields, conversion.steps)

    def decoder(
        self, conversion: Conversion, learner: Learner, shape: tuple[int, ...], requested: str | None
    ) -> tuple[State, list[Notice]]:
        if is_language_model(learner):
            [numericalize] = [each for each in learner.input_transforms if name_of(each) == NUMERICALIZE]
            vocab = _unique([str(token) for token in as_list(numericalize.get("vocab"))])
            return {"decoder": "category", "activation": "softmax", "vocab": vocab, "top": TOP_K}, []
        targets = list(conversion.targets)
        return decoder_state(conversion.target_transforms, targets, learner.loss, prod(shape), requested)

    def states(self, network: nn.Module) -> Mapping[str, int]:
        return state_sizes(network)

    def verify(
        self,
        conversion: Conversion,
        network: nn.Module,
        predictor: Predictor,
        samples: Arrays,
        expected: npt.NDArray[np.float32],
    ) -> float:
        return check_other_lengths(network, predictor, samples)

    def finish(self, bundle: Bundle, options: Options) -> Bundle:
        return bundle if options.precision is None else reduce_precision(bundle, options)

    def workers(self) -> dict[str, Any]:
        return worker_configuration(batch=16, seconds=120, threads=0)

    def becomes(self, transform: Any, domain: Domain | None) -> str | None:
        if name_of(transform) in PADDING:
            return "nothing: the runtime pads texts"
        return super().becomes(transform, domain)

    def summary(self, spec: Spec) -> list[tuple[str, str]]:
        return [(field.name, "a text") for field in spec.fields]


def _unique(tokens: list[str]) -> list[str]:
    """The tokens, with the id after repeated ones: fastai fills vocabularies with several `xxfake`."""
    first = {token: at for at, token in reversed([*enumerate(tokens)])}
    return [token if first[token] == at else f"{token} ({at})" for at, token in enumerate(tokens)]


MODALITY = Text()
