"""Tables: a record has a value for each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastmar_contract.errors import RequestError
from fastmar_contract.media_types import BMP, MediaType, picture_type
from fastmar_runtime.bodies.request import Request
from fastmar_runtime.modalities import Bytes, Modality
from fastmar_runtime.modalities.tabular.checks import check_columns, check_types
from fastmar_runtime.modalities.tabular.preprocessing import TablePreprocessor
from fastmar_runtime.preprocess import Preprocessor
from fastmar_runtime.spec import Spec


class Tabular(Modality):
    """See `Modality`."""

    name = "tabular"
    reads_csv = True
    formats = "send a JSON record, a JSON list of records, JSON lines, or CSV with a header and Content-Type: text/csv."
    other_bodies = (
        "A JSON list of records, CSV with a header (text/csv) and JSON lines (application/jsonlines) are accepted too, "
        "and answered with a list or with lines in their order."
    )

    def preprocessor(self, spec: Spec) -> Preprocessor:
        """See `Modality`."""
        return TablePreprocessor(spec)

    def check(self, spec: Spec, steps: Sequence[Any]) -> None:
        """See `Modality`."""
        check_types(spec, steps)
        check_columns(spec, self.preprocessor(spec))

    def read_body(self, body: Bytes | str, media_type: MediaType, options: Mapping[str, Any]) -> Request | None:  # noqa: ARG002
        """See `Modality`. Refuses pictures."""
        if not isinstance(body, str) and body[:1] not in (b"{", b"[") and picture_type(body) not in (None, BMP):
            raise RequestError("the body is a picture, but the model reads records.", fix=self.formats)
        return None


MODALITY = Tabular()
