"""The contents of an archive, for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastmar_contract.values import CATEGORY, DATE, NUMBER
from fastmar_runtime import spec as spec_format
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.checks import read_spec
from fastmar_runtime.golden import read_records
from fastmar_runtime.profiles.building import reference_in
from fastmar_runtime.profiles.variables import CONFIDENCE, FIELD, MEASURE, PREDICTION, Variable
from fastmar_runtime.samples import count_samples
from fastmar_runtime.schema import describe
from fastmar_runtime.spec import Spec


def archive_facts(path: Path) -> dict[str, Any]:
    """The spec of an archive, with its schemas, reference profile, number of sample pictures, and golden records.

    Raises:
        BundleError: it can't be read.
    """
    files = BundleFiles(path)
    spec = read_spec(files)
    golden = [{"record": record, "answer": answer} for record, answer in zip(*read_records(files), strict=False)]
    return spec_format.to_dict(spec) | {
        "schema": describe(spec),
        "reference_profile": _profile_facts(files, spec),
        "samples": count_samples(files),
        "golden": golden,
    }


def _profile_facts(files: BundleFiles, spec: Spec) -> dict[str, Any] | None:
    """What the archive holds for monitoring: the number of reference rows, and what is counted of each record."""
    reference = reference_in(files, spec)
    if reference is None:
        return None
    variables = reference.profile.variables
    return {
        "rows": reference.profile.rows,
        "parts": len(reference.chunks),
        "fields": _names(variables, FIELD),
        "measures": _names(variables, MEASURE),
        "answers": _names(variables, PREDICTION, CONFIDENCE),
        "fields_not_counted": [
            each.name
            for each in spec.fields
            if each.kind in (NUMBER, CATEGORY, DATE) and each.name not in _names(variables, FIELD)
        ],
    }


def _names(variables: Sequence[Variable], *sources: str) -> list[str]:
    return [variable.name for variable in variables if variable.source in sources]
