"""The metrics of profiles, as a server or Prometheus returns them, become a profile of the model."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from fastmar_monitor.errors import NoLiveData, OtherReference, SeriesUnreadable
from fastmar_monitor.sources.live import Query
from fastmar_runtime.metrics import label_value
from fastmar_runtime.profiles.profile import Profile, Reference
from fastmar_runtime.profiles.reporting import label_names, reference_share

Slots = Mapping[tuple[str, str], float]
"""A number for each slot, by the labels `variable` and `slot`."""

_TOLERANCE = 2e-6  # of shares, which have 6 decimals


def model_labels(query: Query) -> dict[str, str]:
    """The labels of the model's series."""
    return {"model_name": label_value(query.spec.name), "model_version": label_value(query.spec.version)}


def check_shares(query: Query, shares: Slots, others: Collection[str]) -> tuple[str, ...]:
    """Check that the shares are those of the archive; returns notices.

    Args:
        query: what is read.
        shares: the shares of the reference data in the metrics.
        others: other models and versions with a profile, for the message.

    Raises:
        NoLiveData: there are none.
        OtherReference: they differ from those of the archive.
    """
    model = f"{query.spec.name} {query.spec.version}"
    if not shares:
        has = f"; it has {', '.join(sorted(others))}" if others else ""
        raise NoLiveData(
            f"{query.data} has no profile of {model}{has}.",
            fix="pass the archive that is served, exported with --reference, and the address of its metrics.",
        )
    expected = _reference_shares(query.reference)
    known = [name for name, slots in expected.items() if slots.keys() & shares.keys()]
    slots = {key: share for name in known for key, share in expected[name].items()}
    if slots.keys() != shares.keys() or any(abs(share - shares[key]) > _TOLERANCE for key, share in slots.items()):
        raise OtherReference(
            f"{model} at {query.data} has another reference profile than {query.archive}.",
            fix="pass the archive that is served; of Prometheus, the records since it is: --since.",
        )
    missing = [name for name in expected if name not in known]
    if not missing:
        return ()
    return (f"The metrics do not have {len(missing)} variables, since the model has too many: {', '.join(missing)}.",)


def to_profile(query: Query, rows: float, counts: Slots) -> Profile:
    """The profile of a number of records and the counts of their values, which are rounded.

    Raises:
        SeriesUnreadable: one is no count.
    """
    for value in (rows, *counts.values()):
        if not 0 <= value < 1 << 53:  # not for NaN either
            raise SeriesUnreadable(f"{query.data} has a count of {value}.", fix="restart the server.")
    variables = query.reference.profile.variables
    named = zip(label_names(variables), [variable.keys() for variable in variables], strict=True)
    rounded = tuple(np.array([round(counts.get((name, key), 0)) for key in keys], np.int64) for name, keys in named)
    return Profile(variables, round(rows), rounded)


def no_records(query: Query) -> NoLiveData:
    """The error if no records were counted."""
    return NoLiveData(
        f"{query.data} has no records of {query.spec.name} {query.spec.version} yet.",
        fix="wait until the workers have answered records and reported them (`fastmar serve --profile-period`).",
    )


def _reference_shares(reference: Reference) -> dict[str, dict[tuple[str, str], float]]:
    """The share of each slot, by variable."""
    profile = reference.profile
    names = label_names(profile.variables)
    return {
        name: {(name, key): reference_share(counts, slot) for slot, key in enumerate(variable.keys())}
        for name, variable, counts in zip(names, profile.variables, profile.counts, strict=True)
    }
