"""Explanations of answers to the rows of a table, see `what_if`, and to pictures, see `occlusion`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from fastmar_runtime.operations import Kind, Model, Operations
from fastmar_runtime.operations.explainer.occlusion import Occlusion
from fastmar_runtime.operations.explainer.schemas import (
    COMPONENTS,
    describe_explanation,
    explanation_components,
    explanation_example,
)
from fastmar_runtime.operations.explainer.what_if import EXPLAIN, WhatIf, is_explained
from fastmar_runtime.schema_parts import JSON
from fastmar_runtime.spec import Spec


class ExplainerKind(Kind):
    """See `Kind`."""

    name = "explainer"
    summaries: ClassVar[Mapping[str, str]] = {EXPLAIN: "Predict, and show what the answer depends on"}
    components = COMPONENTS

    def applies(self, spec: Spec) -> bool:
        """See `Kind`."""
        return is_explained(spec)

    def options(self, spec: Spec) -> tuple[str, ...]:  # noqa: ARG002
        """See `Kind`."""
        return (EXPLAIN,)

    def check(self, spec: Spec) -> None:
        """See `Kind`. The spec has no part of this kind."""

    def load(self, model: Model) -> Operations:
        """See `Kind`."""
        return Occlusion(model) if model.spec.kind == "vision" else WhatIf(model)

    def describe(self, spec: Spec) -> JSON:
        """See `Kind`."""
        return describe_explanation(spec)

    def schemas(self, spec: Spec) -> JSON:
        """See `Kind`."""
        return explanation_components(spec)

    def example(self, spec: Spec, option: str) -> JSON:  # noqa: ARG002
        """See `Kind`."""
        return explanation_example(spec)


KIND = ExplainerKind()
