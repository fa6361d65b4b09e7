"""Operations of language models: see `generation`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from fastmar_runtime.operations import Kind, Model, Operations
from fastmar_runtime.operations.generator.generation import EMBED, GENERATE, Generation, check_generator, requestable
from fastmar_runtime.operations.generator.schemas import (
    COMPONENTS,
    describe_generation,
    generation_components,
    generation_example,
)
from fastmar_runtime.schema_parts import JSON
from fastmar_runtime.spec import Spec


class GeneratorKind(Kind):
    """See `Kind`."""

    name = "generator"
    summaries: ClassVar[Mapping[str, str]] = {GENERATE: "Generate a text", EMBED: "Encode a text as numbers"}
    components = COMPONENTS

    def options(self, spec: Spec) -> tuple[str, ...]:
        """See `Kind`."""
        return requestable(spec)

    def check(self, spec: Spec) -> None:
        """See `Kind`."""
        check_generator(spec)

    def load(self, model: Model) -> Operations:
        """See `Kind`."""
        assert model.spec.generator is not None  # noqa: S101 - for the type checker: a model with this kind has one
        return Generation(model, model.spec.generator)

    def describe(self, spec: Spec) -> JSON:
        """See `Kind`."""
        return describe_generation(spec)

    def schemas(self, spec: Spec) -> JSON:
        """See `Kind`."""
        return generation_components(spec)

    def example(self, spec: Spec, option: str) -> JSON:
        """See `Kind`."""
        return generation_example(spec, option)


KIND = GeneratorKind()
