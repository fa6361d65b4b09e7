"""The contents of an archive, for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastmar_runtime import spec as spec_format
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.checks import read_spec
from fastmar_runtime.golden import read_records
from fastmar_runtime.schema import describe


def archive_facts(path: Path) -> dict[str, Any]:
    """The spec of an archive, with the schemas of records and answers, and the golden records.

    Raises:
        BundleError: it can't be read.
    """
    files = BundleFiles(path)
    spec = read_spec(files)
    golden = [{"record": record, "answer": answer} for record, answer in zip(*read_records(files), strict=False)]
    return spec_format.to_dict(spec) | {"schema": describe(spec), "golden": golden}
