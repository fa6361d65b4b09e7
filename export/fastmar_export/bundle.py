"""The contents of an archive."""

from __future__ import annotations

from dataclasses import dataclass

from fastmar_runtime.golden import GoldenRecords
from fastmar_runtime.profiles.profile import Reference
from fastmar_runtime.spec import Spec


@dataclass(frozen=True, slots=True)
class Bundle:
    """The contents of an archive.

    Attributes:
        spec: the description of the model.
        graph: bytes of the ONNX file.
        golden: records with their answers.
        profile: the profile of the reference data, if there are any.
        samples: JPEG files of sample pictures.
    """

    spec: Spec
    graph: bytes
    golden: GoldenRecords
    profile: Reference | None = None
    samples: tuple[bytes, ...] = ()
