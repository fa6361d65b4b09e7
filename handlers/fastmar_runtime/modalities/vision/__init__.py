"""Pictures: a record is a picture file, or JSON that contains one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastmar_contract.masks import MASK_SIZE
from fastmar_contract.media_types import MediaType
from fastmar_runtime.answers import answer_kind
from fastmar_runtime.bodies.forms import ReadPart
from fastmar_runtime.bodies.multipart import Part
from fastmar_runtime.bodies.request import Request
from fastmar_runtime.docs_commands import PICTURES
from fastmar_runtime.modalities import Bytes, Modality
from fastmar_runtime.modalities.vision import bodies, schemas
from fastmar_runtime.modalities.vision.preprocessing import PicturePreprocessor
from fastmar_runtime.pictures import Picture
from fastmar_runtime.preprocess import Preprocessor
from fastmar_runtime.schema_parts import JSON, TEXT
from fastmar_runtime.spec import IMAGE, Spec


class Vision(Modality):
    """See `Modality`."""

    name = "vision"
    record = "picture"
    reads_files = True
    formats = bodies.FORMATS
    other_bodies = (
        "A picture file as the body (image/jpeg and the like, application/octet-stream), multipart forms with one or "
        "several files, a JSON list of records and JSON lines are accepted too. Several pictures are answered with a "
        "list or with lines in their order."
    )
    answer_properties = {"name": schemas.NAME}  # noqa: RUF012 - declared in the base class
    answer_component = {"name": TEXT}  # noqa: RUF012
    docs_record = (
        "<p>A picture file (JPEG, PNG, GIF, BMP, WebP or TIFF) as the body, files in a multipart form, or JSON: "
        '<code>{"image": {"b64": "…"}}</code>.</p>'
    )
    docs_commands = PICTURES
    docs_input = '<label for="file">Picture</label><input id="file" name="file" type="file" accept="image/*" required>'

    def preprocessor(self, spec: Spec) -> Preprocessor:
        """See `Modality`."""
        return PicturePreprocessor(spec)

    def check(self, spec: Spec, steps: Sequence[Any]) -> None:
        """See `Modality`."""
        from fastmar_runtime.modalities.vision.checks import check_fields, check_steps  # noqa: PLC0415 - Pillow

        check_fields(spec)
        check_steps(steps)

    def mismatch_cause(self, spec: Spec) -> tuple[str, str] | None:
        """See `Modality`. Pixels depend on the versions of Pillow and of its JPEG library."""
        from fastmar_runtime.pillow_versions import describe_other_versions  # noqa: PLC0415 - Pillow

        versions = describe_other_versions(spec.provenance)
        fix = "install the versions that the archive was exported with, or export it again on this machine."
        return None if versions is None else (versions, fix)

    def read_body(self, body: Bytes | str, media_type: MediaType, options: Mapping[str, Any]) -> Request | None:
        """See `Modality`."""
        return bodies.read_body(body, media_type.name, options)

    def read_form(self, parts: Sequence[Part], max_records: int | None, read_part: ReadPart) -> Request:
        """See `Modality`."""
        return bodies.read_form(parts, max_records, read_part)

    def tensor_values(self, name: str, values: list[Any]) -> list[Any]:  # noqa: ARG002
        """See `Modality`. Bytes are a picture file or its base64."""
        return [value.decode() if isinstance(value, bytes) and value.isascii() else value for value in values]

    def with_options(self, record: Any, options: Mapping[str, Any]) -> Any:
        """See `Modality`. The only option is `mask_size`."""
        size = options.get(MASK_SIZE)
        if size is None:
            return record
        if isinstance(record, Picture):
            return replace(record, mask_size=size)
        if isinstance(record, str):
            return {IMAGE: record, MASK_SIZE: size}
        return {MASK_SIZE: size, **record} if isinstance(record, dict) else record

    def record_schema(self, spec: Spec) -> JSON:
        """See `Modality`."""
        return schemas.record_schema(spec)

    def component(self, spec: Spec) -> JSON:
        """See `Modality`."""
        return schemas.component(spec)

    def example(self, spec: Spec) -> JSON:  # noqa: ARG002
        """See `Modality`."""
        return {IMAGE: schemas.PNG}

    def form_parts(self, spec: Spec) -> JSON:
        """See `Modality`."""
        binary = {"type": "string", "format": "binary"}
        return {IMAGE: binary, **answer_kind(spec.decode).component_options()}


MODALITY = Vision()
