"""Exports text learners: a `Datasets` whose inputs are transformed by `letters.LetterCounts`."""

from __future__ import annotations

from typing import Any

from fastmar_export.conversion import Conversion
from fastmar_export.converters import Domain, convert, converter
from fastmar_export.learner import name_of
from fastmar_export.modalities import Modality, worker_configuration
from fastmar_export.networks.graph import SHALLOW

INPUTS = Domain("letters")


@converter("letters.LetterCounts", domain=INPUTS)
def letter_counts(record: Any, where: str, shared: Any) -> dict[str, Any]:
    return {"step": "letter_counts", "column": "text"}


class Letters(Modality):
    name = "letters"
    reads = "letters"
    loaders = "DataLoaders"
    classes = ()
    tolerance = SHALLOW
    domains = {}  # noqa: RUF012

    def matches(self, learner: Any) -> bool:
        return [name_of(each) for each in learner.input_transforms] == ["letters.LetterCounts"]

    def convert(self, learner: Any, options: Any) -> Conversion:
        steps = tuple(
            convert(each, f"dls.tls[0].tfms[{at}]", INPUTS, None) for at, each in enumerate(learner.input_transforms)
        )
        return Conversion((), steps, ("input",), [], ("vowels",), [])

    def golden(self, conversion: Any) -> list[Any]:
        return [{"text": "The quick brown fox"}, {"text": ""}, {"text": "aeiou"}]

    def decoder(self, conversion: Any, learner: Any, shape: Any, options: Any) -> Any:
        return {"decoder": "sign"}, []

    def workers(self) -> dict[str, Any]:
        return worker_configuration(batch=8, seconds=30, threads=1)

    def summary(self, spec: Any) -> list[tuple[str, str]]:
        return [("text", "a text")]


MODALITY = Letters()
