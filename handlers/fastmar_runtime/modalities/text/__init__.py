"""Texts: a record is an object with a text for each column. If there is one column, a text alone is a record, too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastmar_contract.files import PLAIN
from fastmar_contract.media_types import MediaType
from fastmar_contract.text import decode
from fastmar_runtime.bodies import forms
from fastmar_runtime.bodies.multipart import Part
from fastmar_runtime.bodies.request import ONE, Request
from fastmar_runtime.modalities import Bytes, Modality
from fastmar_runtime.modalities.text.checks import check_fields, check_inputs, check_steps
from fastmar_runtime.modalities.text.preprocessing import TextPreprocessor
from fastmar_runtime.preprocess import Preprocessor
from fastmar_runtime.record_schemas import record_schema
from fastmar_runtime.schema_parts import JSON
from fastmar_runtime.spec import Spec


class Text(Modality):
    """See `Modality`."""

    name = "text"
    record = "text"
    reads_csv = True
    reads_text = True
    keeps_memory = False
    other_bodies = (
        "A JSON list of records, CSV with a header (text/csv) and JSON lines (application/jsonlines) are accepted too, "
        "and answered with a list or with lines in their order. A model with one column of text also accepts a JSON "
        "string or a body of text/plain in place of a record."
    )

    def formats_of(self, spec: Spec) -> str:
        """See `Modality`."""
        record = json.dumps(dict.fromkeys((field.name for field in spec.fields), "..."))
        alone = "a text as the body with Content-Type: text/plain, a JSON string, " if len(spec.fields) == 1 else ""
        return (
            f"send {alone}a JSON record such as {record}, a JSON list of these, JSON lines, or CSV with a header and "
            "Content-Type: text/csv."
        )

    def preprocessor(self, spec: Spec) -> Preprocessor:
        """See `Modality`."""
        return TextPreprocessor(spec)

    def check(self, spec: Spec, steps: Sequence[Any]) -> None:
        """See `Modality`."""
        check_fields(spec)
        check_steps(steps)
        check_inputs(spec)

    def read_body(self, body: Bytes | str, media_type: MediaType, options: Mapping[str, Any]) -> Request | None:  # noqa: ARG002
        """See `Modality`. Reads plain text."""
        if media_type.name != PLAIN:
            return None
        return Request([decode(body, media_type.parameters.get("charset"))], ONE)

    def read_form(self, parts: Sequence[Part], max_records: int | None, read_part: forms.ReadPart) -> Request:
        """See `Modality`. Files of plain text are a record each; parts without a file name are a record's columns."""
        if any(part.filename is not None or forms.is_document(part) for part in parts):
            return forms.read_documents(parts, max_records, _plain_text_or(read_part))
        columns = {part.name: decode(part.content) if _is_raw(part.content) else part.content for part in parts}
        return Request([columns], ONE) if columns else forms.read_documents(parts, max_records, read_part)

    def record_schema(self, spec: Spec) -> JSON:
        """See `Modality`."""
        schema = record_schema(spec)
        return {**schema, "type": ["object", "string"]} if len(spec.fields) == 1 else schema


def _is_raw(content: Any) -> bool:
    return isinstance(content, bytes | bytearray | memoryview)


def _plain_text_or(read_part: forms.ReadPart) -> forms.ReadPart:
    """`read_part`, but a file of plain text is one record."""

    def read(part: Part, max_records: int | None) -> Request:
        if _is_raw(part.content) and not forms.is_document(part):
            return Request([decode(part.content)], ONE)
        return read_part(part, max_records)

    return read


MODALITY = Text()
