"""What an archive without a reference profile records of its training data: means, deviations, known categories."""

from __future__ import annotations

import numpy as np

from fastmar_contract.values import CATEGORY as CATEGORY_FIELD
from fastmar_runtime.profiles.profile import Reference, empty
from fastmar_runtime.profiles.variables import CATEGORY, FIELD, NUMBER, Variable
from fastmar_runtime.spec import Spec

DEVIATIONS = 5  # that the bins of a number extend on each side of its mean
BINS = 4  # per deviation


def known_reference(spec: Spec) -> Reference | None:
    """Variables for the columns of a table, without counts; None if the archive knows nothing about any column.

    The bins of a number are parts of the standard deviation that `Normalize` has, around its mean.
    """
    means: dict[str, float] = {}
    stds: dict[str, float] = {}
    for step in spec.steps:
        if step["step"] == "normalize":
            means.update(step["means"])
            stds.update(step["stds"])
    found = []
    for field in spec.fields:
        if field.kind == CATEGORY_FIELD:
            known = tuple(field.categories)
            found.append(Variable(field.name, FIELD, CATEGORY, known=known))
        elif field.name in means:
            at = np.linspace(-DEVIATIONS, DEVIATIONS, 2 * DEVIATIONS * BINS + 1)
            edges = np.unique(means[field.name] + at * stds[field.name])
            if len(edges) == len(at):  # else the deviation is nothing beside the mean
                found.append(Variable(field.name, FIELD, NUMBER, edges=tuple(edges.tolist())))
    return Reference(empty(found)) if found else None


def moments(variable: Variable) -> tuple[float, float]:
    """Mean and standard deviation of a number in `known_reference`."""
    first, last = variable.edges[0], variable.edges[-1]
    return (first + last) / 2, (last - first) / (2 * DEVIATIONS)
