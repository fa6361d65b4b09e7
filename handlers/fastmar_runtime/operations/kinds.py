"""The kinds of operations."""

from __future__ import annotations

from fastmar_runtime.operations import Kind
from fastmar_runtime.operations.explainer import KIND as EXPLAINER
from fastmar_runtime.operations.generator import KIND as GENERATOR
from fastmar_runtime.operations.recommender import KIND as RECOMMENDER
from fastmar_runtime.spec import Spec

_KINDS: tuple[Kind, ...] = (RECOMMENDER, GENERATOR, EXPLAINER)  # a model has operations of the first kind that applies

PREDICT_FILE = "predict_file"
OPERATIONS = (PREDICT_FILE, *(option for kind in _KINDS for option in kind.summaries))
"""The operations that have paths of their own, such as `/models/NAME/explain`."""


def kind_of(spec: Spec) -> Kind | None:
    """The kind of the model's operations; None if it only predicts."""
    return next((kind for kind in _KINDS if kind.applies(spec)), None)


def options(spec: Spec) -> tuple[str, ...]:
    """The options that request an operation from the model."""
    kind = kind_of(spec)
    return () if kind is None else kind.options(spec)
