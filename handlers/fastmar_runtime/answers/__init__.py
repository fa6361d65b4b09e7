"""The kinds of answer, one file each, named like the kind.

A kind is an object without state of its own, in its module's `KIND`. Its methods take the `decode` part of a spec,
``{"decoder": NAME, ...state}``, and say all that depends on the kind of answer: how the graph's output becomes
answers, what schemas and tensors describe them, and what two versions of a model are compared by.
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

FP32 = "FP32"  # the datatype of all numbers in outputs of protocol v2


class Decoder(Protocol):
    """Turns the graph's output into answers."""

    def __call__(self, output: npt.NDArray[Any], geometries: Sequence[Geometry] = ()) -> Answers:
        """An answer for each row of `output`; `geometries` say where pixels lie in the pictures that were sent."""
        ...


@dataclass(frozen=True, slots=True)
class OutputTensor:
    """One output of protocol v2, for the metadata and for responses.

    Attributes:
        name: of the output.
        datatype: as the protocol calls it.
        shape: -1 for the number of records, and where the width is not known before there are answers.
        values: the tensor's data in one list, out of answers.
        parameters: what a response says beside the data.
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
        """The tensor as a response holds it."""
        data = self.values(answers)
        unknown = len(data) // len(answers) if answers else 0
        shape = [len(answers), *(unknown if size < 0 else size for size in self.shape[1:])]
        found = {"name": self.name, "shape": shape, "datatype": self.datatype, "data": data}
        return {**found, "parameters": {**self.parameters}} if self.parameters else found


class AnswerKind(ABC):
    """One kind of answer. `state` is the spec's `decode`."""

    name: ClassVar[str]

    def check(self, state: State, width: str | int | None, path: str) -> None:  # noqa: B027 - not all have state
        """Raise `BundleUnreadable` where the state is wrong.

        Args:
            state: to check.
            width: of the graph's output, where it has one.
            path: where the state stands, for messages.
        """

    @abstractmethod
    def decoder(self, state: State) -> Decoder:
        """What makes the answers."""

    @abstractmethod
    def schema(self, state: State) -> tuple[JSON, JSON]:
        """JSON Schema of the prediction, and of each part that stands beside it."""

    @abstractmethod
    def component(self, state: State, targets: Sequence[str]) -> JSON:
        """OpenAPI schemas of an answer's parts, the prediction first."""

    def component_schemas(self) -> JSON:
        """Further OpenAPI components, which `component` refers to."""
        return {}

    @abstractmethod
    def tensors(self, state: State) -> list[OutputTensor]:
        """Outputs of protocol v2."""

    def options(self) -> JSON:
        """JSON Schema of each option that a picture's record may have."""
        return {}

    def component_options(self) -> JSON:
        """The same for OpenAPI."""
        return {}

    def labels(self, state: State) -> list[str]:
        """All labels that an answer may hold, in their order."""
        return []

    def dimensions(self, output: Tensor) -> tuple[str | int, ...]:
        """What decides the shape of an answer's numbers, where that is the shape of the graph's output."""
        return ()

    def shortest(self, state: State) -> JSON:
        """The parts of an answer that has the fewest bytes."""
        return {"prediction": 0}


def answer_kind(state: State) -> AnswerKind:
    """The kind of answer that the spec's `decode` names.

    Raises:
        BundleUnreadable: there is no kind of that name.
    """
    name = state.get("decoder")
    module = registry.load("answers", name)
    if module is None:
        raise _unknown(f"{name!r:.80}")
    kind: AnswerKind = module.KIND
    return kind


def load_decoder(state: State) -> Decoder:
    """The decoder that `state` describes: ``{"decoder": NAME, ...}``. Its outputs are [batch, size] float32.

    Raises:
        BundleUnreadable: there is no decoder of that name, or its state lacks a part.
    """
    kind = answer_kind(state)
    try:
        return kind.decoder(state)
    except (KeyError, TypeError, ValueError) as error:
        raise _unknown(repr(error)) from error


def _unknown(what: str) -> BundleUnreadable:
    return BundleUnreadable(
        f"spec.json describes a decoder that this runtime does not know ({what}).",
        fix="install the package that adds it, or export the learner again.",
    )
