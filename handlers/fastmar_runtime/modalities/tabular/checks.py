"""Whether the steps of a table fit its fields and the graph's inputs."""

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
    """Text must become codes or parts of a date before anything computes with it."""
    text = {field.name for field in spec.fields if field.kind in (CATEGORY, DATE)}
    codes: set[str] = set()
    for at, step in enumerate(steps):
        wrong_ones: set[str] = set()
        match step:
            case AddDatepart():
                text.discard(step.date)
            case Categorify():
                codes |= step.vocabularies.keys()
                text -= codes
            case FillMissing():
                wrong_ones = text & step.fills.keys()
            case Normalize():
                wrong_ones = text & step.means.keys()
            case ReadTabBatch():
                wrong_ones = (set(step.cats) - codes) | (text & set(step.conts))
        if wrong_ones:
            name = min(wrong_ones)
            raise unreadable(
                f"spec.json: steps[{at}] takes {name!r:.60} for a number, and no step before it makes it one"
            )


def check_columns(spec: Spec, preprocess: Preprocessor) -> None:
    """Run the steps on no records: a column that no field and no step makes is missed, and so is an input."""
    try:
        inputs, _ = preprocess([])
    except BundleError:
        raise
    except Exception as error:  # a step's own, such as a KeyError for a column
        raise unreadable(f"spec.json: steps don't fit the fields ({type(error).__name__}: {error!s:.80})") from error
    wanted = {tensor.name: tensor for tensor in spec.inputs}
    if inputs.keys() != wanted.keys():
        raise unreadable(f"spec.json: steps make {sorted(inputs)}, and graph.inputs names {sorted(wanted)}")
    for name, array in inputs.items():
        tensor = wanted[name]
        if len(tensor.shape) != 2 or str(array.dtype) != tensor.dtype or array.shape[1:] != tensor.shape[1:]:
            made = f"{array.dtype} {array.shape[1:]}"
            raise unreadable(
                f"spec.json: steps make {name} as {made}, and graph.inputs has {tensor.dtype} {tensor.shape}"
            )
