"""The contents of an archive."""

from __future__ import annotations

from dataclasses import dataclass

from fastmar_runtime.golden import GoldenRecords
from fastmar_runtime.spec import Spec


@dataclass(frozen=True, slots=True)
class Bundle:
    """The contents of an archive."""

    spec: Spec
    graph: bytes
    golden: GoldenRecords
