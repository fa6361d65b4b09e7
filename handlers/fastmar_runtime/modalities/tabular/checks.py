"""Checks that the steps of a table match its fields and the graph's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastmar_contract.values import CATEGORY, DATE
from fastmar_runtime.errors import BundleError
from fastmar_runtime.preprocess import Preprocessor
from fastmar_runtime.spec import Spec
from fastmar_runtime.steps.add_datepart import AddDatepart
from fastmar_runtime.steps.categorify import Categorify
from fastmar_runtime.steps.fill_missing import FillMissing
from fastmar_runtime.steps.normalize import Normalize
from fastmar_runtime.steps.read_tab_batch import ReadTabBatch
from fastmar_runtime.validation import unreadable


def check_types(spec: Spec, steps: Sequence[Any]) -> None:
    """Check that text is converted to codes or date parts before a step computes with it."""
    text = {field.name for field in spec.fields if field.kind in (CATEGORY, DATE)}
    codes: set[str] = set()
    for at, step in enumerate(steps):
        text_columns: set[str] = set()
        match step:
            case AddDatepart():
                text.discard(step.date)
            case Categorify():
                codes |= step.vocabularies.keys()
                text -= codes
            case FillMissing():
                text_columns = text & step.fills.keys()
            case Normalize():
                text_columns = text & step.means.keys()
            case ReadTabBatch():
                text_columns = (set(step.cats) - codes) | (text & set(step.conts))
        if text_columns:
            name = min(text_columns)
            raise unreadable(
                f"spec.json: steps[{at}] needs numbers in {name!r:.60}, but no earlier step converts it to numbers"
            )


def check_columns(spec: Spec, preprocess: Preprocessor) -> None:
    """Run the steps on an empty batch, which fails if a column or an input is missing."""
    try:
        inputs, _ = preprocess([])
    except BundleError:
        raise
    except Exception as error:  # from a step, such as a KeyError for a column
        raise unreadable(f"spec.json: steps do not match the fields ({type(error).__name__}: {error!s:.80})") from error
    expected = {tensor.name: tensor for tensor in spec.inputs}
    if inputs.keys() != expected.keys():
        raise unreadable(f"spec.json: steps make {sorted(inputs)}, but graph.inputs has {sorted(expected)}")
    for name, array in inputs.items():
        tensor = expected[name]
        if len(tensor.shape) != 2 or str(array.dtype) != tensor.dtype or array.shape[1:] != tensor.shape[1:]:
            actual = f"{array.dtype} {array.shape[1:]}"
            raise unreadable(
                f"spec.json: steps make {name} as {actual}, but graph.inputs has {tensor.dtype} {tensor.shape}"
            )
