"""Operations: what a model does for a record other than predicting it, such as recommending items.

A record requests an operation by an option, a key that is no column: ``{"user": 7, "recommend": 10}``. Each kind of
operations is a package here, with a stateless object `KIND`, which is registered in `kinds`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fastmar_contract.errors import RequestError
from fastmar_runtime.answers import Decoder
from fastmar_runtime.bodies.request import V2, Request
from fastmar_runtime.preprocess import Arrays, Preprocessor
from fastmar_runtime.schema_parts import JSON
from fastmar_runtime.spec import Spec

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Model:
    """The parts of a loaded model that operations use.

    Attributes:
        spec: the description of the model.
        graph: bytes of the ONNX file.
        preprocess: turns records into the graph's inputs.
        run: runs the graph, and returns its first output, [batch, ...] float32.
        run_all: runs the graph, and returns all outputs by name.
        decode: turns outputs into answers.
        predict: answers to records that request no operation, as `Predictor.predict` returns them.
    """

    spec: Spec
    graph: bytes
    preprocess: Preprocessor
    run: Callable[[Arrays], npt.NDArray[np.float32]]
    run_all: Callable[[Arrays], Arrays]
    decode: Decoder
    predict: Callable[[Sequence[Any]], list[Answer]]


class Operations(ABC):
    """The operations of a loaded model. Keeps no state between calls."""

    @abstractmethod
    def option(self, record: Any) -> str | None:
        """The option with which `record` requests an operation; None if it does not."""

    @abstractmethod
    def size(self, record: dict[str, Any]) -> int:
        """The number of records that take as much time and memory as the operation that `record` requests."""

    @abstractmethod
    def answer(self, record: dict[str, Any]) -> Answer:
        """Execute the operation that `record` requests.

        Raises:
            RecordError: an option or a value of the record is invalid.
        """

    def stream(self, record: Any) -> Iterator[Answer] | None:  # noqa: ARG002 - for overrides
        """The parts of the answer as they are computed, and then the answer; None if it has no parts."""
        return None

    def is_requested(self, record: Any) -> bool:
        """Whether `record` requests an operation."""
        return self.option(record) is not None

    def check(self, request: Request) -> int:
        """The number of records that take as much time and memory as the operations in `request`.

        Raises:
            RequestError: it requests one by protocol v2, whose answers are tensors.
        """
        requested = [record for record in request.records if self.is_requested(record)]
        if requested and request.shape == V2:
            error = RequestError(
                f"{self.option(requested[0])!r} is not available by protocol v2.",
                code="operation_by_tensors",
                fix="send the record to /predictions/NAME as JSON.",
            )
            error.v2 = True
            raise error
        return sum(self.size(record) for record in requested)


class Kind(ABC):
    """A kind of operations.

    Attributes:
        name: the key in the model's description; also of the spec's part that a model with such operations has, unless
            `applies` says otherwise.
        summaries: what each option does, in a few words.
        components: names of the OpenAPI components of the record and of the answer, by option.
    """

    name: ClassVar[str]
    summaries: ClassVar[Mapping[str, str]]
    components: ClassVar[Mapping[str, tuple[str, str]]]

    def applies(self, spec: Spec) -> bool:
        """Whether the model has operations of this kind."""
        return getattr(spec, self.name, None) is not None

    @abstractmethod
    def options(self, spec: Spec) -> tuple[str, ...]:
        """The options of the model's records; a column of the same name takes precedence."""

    @abstractmethod
    def check(self, spec: Spec) -> None:
        """Raise `BundleUnreadable` if the part does not match the rest of the spec."""

    @abstractmethod
    def load(self, model: Model) -> Operations:
        """The operations of a model.

        Raises:
            BundleUnreadable: the graph does not match the spec.
        """

    @abstractmethod
    def describe(self, spec: Spec) -> JSON:
        """The part of the model's description: for each option the JSON Schemas of its record and answer."""

    @abstractmethod
    def schemas(self, spec: Spec) -> JSON:
        """OpenAPI schemas of the records and answers, by the name of the component."""

    @abstractmethod
    def example(self, spec: Spec, option: str) -> JSON:
        """A plausible record with the option."""
