"""The kinds of answer, one module each, named like the kind.

A kind is a stateless object, `KIND` in its module. Its methods take the `decode` part of a spec,
``{"decoder": NAME, ...state}``, and implement all that depends on the kind of answer: decoding the graph's output,
describing answers by schemas and tensors, and comparing two versions of a model.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy.typing as npt

from fastmar_runtime import registry
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.geometry import Geometry
from fastmar_runtime.spec import Tensor

JSON = dict[str, Any]
State = dict[str, Any]
Answers = list[dict[str, Any]]

FP32 = "FP32"  # datatype of all numbers in protocol v2 outputs


class Decoder(Protocol):
    """Turns the graph's output into answers."""

    def __call__(self, output: npt.NDArray[Any], geometries: Sequence[Geometry] = ()) -> Answers:
        """An answer for each row of `output`; `geometries` map its pixels to the original pictures."""
        ...


@dataclass(frozen=True, slots=True)
class OutputTensor:
    """An output of protocol v2, for the metadata and for responses.

    Attributes:
        name: the name of the output.
        datatype: the protocol's name for it.
        shape: the shape, with -1 for the number of records and for a width that depends on the answers.
        values: the function that flattens answers to the tensor's data.
        parameters: the parameters of the tensor in responses.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: Callable[[Sequence[dict[str, Any]]], list[Any]]
    parameters: JSON = field(default_factory=dict)

    def metadata(self) -> JSON:
        """The tensor as the model's metadata describes it."""
        return {"name": self.name, "datatype": self.datatype, "shape": [*self.shape]}

    def response(self, answers: Sequence[dict[str, Any]]) -> JSON:
        """The tensor as part of a response."""
        data = self.values(answers)
        width = len(data) // len(answers) if answers else 0
        shape = [len(answers), *(width if size < 0 else size for size in self.shape[1:])]
        tensor = {"name": self.name, "shape": shape, "datatype": self.datatype, "data": data}
        return {**tensor, "parameters": {**self.parameters}} if self.parameters else tensor


class AnswerKind(ABC):
    """A kind of answer. `state` is the spec's `decode`."""

    name: ClassVar[str]

    def check(self, state: State, width: str | int | None, path: str) -> None:  # noqa: B027 - not all have state
        """Raise `BundleUnreadable` if the state is invalid.

        Args:
            state: the state to check.
            width: second dimension of the graph's output, or None.
            path: place of the state, for messages.
        """

    @abstractmethod
    def decoder(self, state: State) -> Decoder:
        """The function that turns outputs of the graph into answers."""

    @abstractmethod
    def schema(self, state: State) -> tuple[JSON, JSON]:
        """JSON Schemas of the prediction, and of the other parts of an answer by name."""

    @abstractmethod
    def component(self, state: State, targets: Sequence[str]) -> JSON:
        """OpenAPI schemas of an answer's parts, the prediction first."""

    def component_schemas(self) -> JSON:
        """OpenAPI components that `component` refers to."""
        return {}

    @abstractmethod
    def tensors(self, state: State) -> list[OutputTensor]:
        """Outputs of protocol v2."""

    def options(self) -> JSON:
        """JSON Schemas of the options in a record of a picture, by name."""
        return {}

    def component_options(self) -> JSON:
        """OpenAPI schemas of these options."""
        return {}

    def labels(self, state: State) -> list[str]:
        """All possible labels, in their order."""
        return []

    def nameable(self, state: State) -> list[str]:
        """The parts of answers that a presentation can name: the labels, unless the kind has others."""
        return self.labels(state)

    def dimensions(self, output: Tensor) -> tuple[str | int, ...]:
        """The shape of an answer's numbers, if it is that of the graph's output."""
        return ()

    def shortest(self, state: State) -> JSON:
        """The parts of the shortest possible answer."""
        return {"prediction": 0}


def answer_kind(state: State) -> AnswerKind:
    """The kind of answer that the spec's `decode` names.

    Raises:
        BundleUnreadable: the kind is unknown.
    """
    name = state.get("decoder")
    module = registry.load("answers", name)
    if module is None:
        raise _unknown(f"{name!r:.80}")
    kind: AnswerKind = module.KIND
    return kind


def load_decoder(state: State) -> Decoder:
    """The decoder that `state`, ``{"decoder": NAME, ...}``, describes.

    Raises:
        BundleUnreadable: the decoder is unknown, or its state is incomplete.
    """
    kind = answer_kind(state)
    try:
        return kind.decoder(state)
    except (KeyError, TypeError, ValueError) as error:
        raise _unknown(repr(error)) from error


def _unknown(what: str) -> BundleUnreadable:
    return BundleUnreadable(
        f"spec.json has a decoder that this runtime does not know ({what}).",
        fix="install the package that adds it, or export the learner again.",
    )
