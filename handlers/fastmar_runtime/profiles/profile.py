"""A profile, and the reference profile in an archive."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np

from fastmar_runtime.profiles.variables import Counts, Variable, read_variables
from fastmar_runtime.validation import check, invalid, unreadable

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Profile:
    """Counts of the values of records.

    Attributes:
        variables: what is counted.
        rows: number of records.
        counts: the number of values in each slot of each variable.
    """

    variables: tuple[Variable, ...]
    rows: int
    counts: tuple[Counts, ...]

    def __add__(self, other: Profile) -> Profile:
        """The profile of the records of both; their variables must be the same."""
        if self.variables != other.variables:
            raise ValueError("profiles with different variables can't be added")
        pairs = zip(self.counts, other.counts, strict=True)
        return Profile(self.variables, self.rows + other.rows, tuple(ours + theirs for ours, theirs in pairs))

    def as_dict(self) -> dict[str, Any]:
        """Rows and counts as a JSON object; it does not contain the variables."""
        return {"rows": self.rows, "counts": [counts.tolist() for counts in self.counts]}


def empty(variables: Sequence[Variable]) -> Profile:
    """The profile of no records."""
    return Profile(tuple(variables), 0, tuple(np.zeros(variable.size, np.int64) for variable in variables))


def read_counts(data: Any, variables: Sequence[Variable], path: str) -> Profile:
    """The profile that `Profile.as_dict` wrote.

    Raises:
        BundleUnreadable: it is invalid, or has other variables.
    """
    rows = check(int, data.get("rows") if isinstance(data, Mapping) else data, f"{path}.rows")
    listed = check(list[Any], data.get("counts"), f"{path}.counts")
    for at, counts in enumerate(listed):
        if not isinstance(counts, list) or set(map(type, counts)) - {int}:
            raise invalid(f"{path}.counts[{at}]", "a list of integers", counts)
    if [len(counts) for counts in listed] != [variable.size for variable in variables]:
        raise unreadable(f"{path}.counts does not match the variables")
    if rows < 0 or any(min(counts) < 0 or max(counts) >= 1 << 62 for counts in listed):
        raise unreadable(f"{path} has an invalid count")
    return Profile(tuple(variables), rows, tuple(np.array(counts, np.int64) for counts in listed))


@dataclass(frozen=True, slots=True)
class Reference:
    """The profile of the training data, in the archive's `profile.json`.

    Attributes:
        profile: the profile of all rows.
        chunks: profiles of consecutive parts of the rows. Their differences show how much the data usually vary.
        outcomes: names of the numbers in `means`: labels of the model, or its target.
        means: the mean answer to the records in each slot of each variable: [slots, outcomes] float64, NaN for slots
            without records. For labels these are probabilities.
        deviations: standard deviation of each outcome over all records, [outcomes].
    """

    profile: Profile
    chunks: tuple[Profile, ...] = ()
    outcomes: tuple[str, ...] = ()
    means: tuple[Any, ...] = ()
    deviations: tuple[float, ...] = ()

    @property
    def digest(self) -> str:
        """Identifies the variables; profiles with another digest can't be compared with this one."""
        listed = [variable.as_dict() for variable in self.profile.variables]
        return sha256(json.dumps(listed, sort_keys=True).encode()).hexdigest()[:16]

    def as_dict(self) -> dict[str, Any]:
        """A JSON object, which `read_reference` reads."""
        return {
            "format": FORMAT,
            "variables": [variable.as_dict() for variable in self.profile.variables],
            **self.profile.as_dict(),
            "chunks": [chunk.as_dict() for chunk in self.chunks],
            "outcomes": list(self.outcomes),
            "means": [_nulls(means) for means in self.means],
            "deviations": list(self.deviations),
        }


def read_reference(
    data: Any, vocabularies: Mapping[tuple[str, str], Sequence[Any]], path: str = "profile.json"
) -> Reference:
    """The reference that `Reference.as_dict` wrote; see `read_variables`.

    Raises:
        BundleUnreadable: it is invalid.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise invalid(f"{path}: format", str(FORMAT), data.get("format") if isinstance(data, Mapping) else data)
    variables = read_variables(data.get("variables"), f"{path}: variables", vocabularies)
    chunks = check(list[dict[str, Any]], data.get("chunks", []), f"{path}: chunks")
    outcomes = check(tuple[str, ...], data.get("outcomes", []), f"{path}: outcomes")
    means = [_from_nulls(each, len(outcomes)) for each in check(list[Any], data.get("means", []), f"{path}: means")]
    if means and [each.shape for each in means] != [(variable.size, len(outcomes)) for variable in variables]:
        raise unreadable(f"{path}: means does not match the variables")
    return Reference(
        read_counts(data, variables, path),
        tuple(read_counts(chunk, variables, f"{path}: chunks[{at}]") for at, chunk in enumerate(chunks)),
        outcomes,
        tuple(means),
        check(tuple[float, ...], data.get("deviations", []), f"{path}: deviations"),
    )


def _nulls(means: Any) -> list[list[float] | None]:
    """Rows of an array, with null for a slot without records."""
    return [None if np.isnan(row).any() else [round(value, 6) for value in row.tolist()] for row in means]


def _from_nulls(rows: Any, outcomes: int) -> Any:
    nothing = [float("nan")] * outcomes
    try:
        return np.array([nothing if row is None else row for row in rows], np.float64).reshape(len(rows), outcomes)
    except (TypeError, ValueError) as error:
        raise unreadable("profile.json: means has rows of different lengths") from error
