"""The modalities, such as tables and pictures: one module or package each, named like the modality.

A modality is a stateless object, `MODALITY` in its module. It implements all that depends on what a model reads:
parsing requests to records, preparing records for the graph, and describing records in documents. The defaults are for
records that are JSON objects with a value for each field of the spec.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from fastmar_contract.media_types import MediaType
from fastmar_runtime import registry
from fastmar_runtime.bodies import forms, tensors
from fastmar_runtime.bodies.multipart import Part
from fastmar_runtime.bodies.request import Request
from fastmar_runtime.docs_commands import RECORDS
from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.preprocess import Preprocessor
from fastmar_runtime.record_schemas import component, example, record_schema
from fastmar_runtime.schema_parts import JSON
from fastmar_runtime.spec import Spec

Bytes = bytes | bytearray | memoryview


class Modality(ABC):
    """What a model reads.

    Attributes:
        name: the spec's `kind`.
        record: the word for a record in messages and documents.
        reads_csv: whether records can be sent as a CSV with a column for each field.
        reads_text: whether a text is a record, without the name of its column.
        reads_files: whether a file's bytes are a record.
        keeps_memory: whether ONNX Runtime keeps the memory of its largest run, to use it again. False if a record may
            need far more than usual ones.
        formats: the fix for unreadable requests, which lists the accepted bodies.
        other_bodies: the accepted bodies other than a JSON record, for the OpenAPI document.
        answer_properties: JSON Schemas of properties of answers before the prediction.
        answer_component: the same for OpenAPI.
        docs_record: HTML that describes a record on the page `docs`; None for a table of the fields.
        docs_commands: templates of the commands on that page.
        docs_input: HTML of the form's input on that page; None for a text area with the example.
    """

    name: ClassVar[str]
    record: ClassVar[str] = "record"
    reads_csv: ClassVar[bool] = False
    reads_text: ClassVar[bool] = False
    reads_files: ClassVar[bool] = False
    keeps_memory: ClassVar[bool] = True
    formats: ClassVar[str] = "send a JSON record, a JSON list of records, or JSON lines."
    other_bodies: ClassVar[str] = (
        "A JSON list of records and JSON lines (application/jsonlines) are accepted too, and answered with a list or "
        "with lines in their order."
    )
    answer_properties: ClassVar[JSON] = {}
    answer_component: ClassVar[JSON] = {}
    docs_record: ClassVar[str | None] = None
    docs_commands: ClassVar[dict[str, str]] = RECORDS
    docs_input: ClassVar[str | None] = None

    @property
    def records(self) -> str:
        """The plural of `record`."""
        return f"{self.record}s"

    @abstractmethod
    def preprocessor(self, spec: Spec) -> Preprocessor:
        """The preprocessor, which makes the graph's inputs.

        Raises:
            BundleUnreadable: the spec has an unknown step.
        """

    def formats_of(self, spec: Spec) -> str:  # noqa: ARG002 - for modalities whose records have no fixed fields
        """The fix for unreadable requests of a model: `formats`, or a text with the names of its fields."""
        return self.formats

    def check(self, spec: Spec, steps: Sequence[Any]) -> None:  # noqa: B027 - not all have more to check
        """Raise `BundleUnreadable` if the fields, the `steps` and the graph's inputs are inconsistent."""

    def mismatch_cause(self, spec: Spec) -> tuple[str, str] | None:  # noqa: ARG002
        """A possible cause of a golden mismatch, and its fix; None if no cause is known."""
        return None

    def read_body(self, body: Bytes | str, media_type: MediaType, options: Mapping[str, Any]) -> Request | None:  # noqa: ARG002
        """The request of a body that is a record, such as a picture; None for JSON, tables and forms.

        Raises:
            RequestError: the model can't read bodies of this kind.
        """
        return None

    def read_form(self, parts: Sequence[Part], max_records: int | None, read_part: forms.ReadPart) -> Request:
        """The records of a form, in the order of its parts; see `forms`.

        Raises:
            RequestError: there are no records, or a part can't be read.
        """
        return forms.read_documents(parts, max_records, read_part)

    def tensor_values(self, name: str, values: list[Any]) -> list[Any]:
        """Values of a protocol v2 input, converted to values of records. The default decodes bytes as UTF-8.

        Raises:
            RequestError: a value can't be read.
        """
        return tensors.as_text(name, values)

    def with_options(self, record: Any, options: Mapping[str, Any]) -> Any:  # noqa: ARG002
        """`record` with the known `options`; options of the record itself take precedence."""
        return record

    def record_schema(self, spec: Spec) -> JSON:
        """JSON Schema of a record."""
        return record_schema(spec)

    def component(self, spec: Spec) -> JSON:
        """OpenAPI schema of a record."""
        return component(spec)

    def example(self, spec: Spec) -> JSON:
        """A plausible record."""
        return example(spec)

    def form_parts(self, spec: Spec) -> JSON:  # noqa: ARG002
        """OpenAPI schemas of the parts of a form with one file, the file first; empty if forms have no files."""
        return {}


def modality(name: str) -> Modality:
    """The modality of a spec's `kind`.

    Raises:
        BundleUnreadable: the modality is unknown.
    """
    found = registry.load("modalities", name)
    if found is None:
        raise BundleUnreadable(
            f"spec.json has the kind {name!r}, which this runtime does not know.",
            fix="install the package that adds it, or use the version of fastmar that wrote the archive.",
        )
    result: Modality = found.MODALITY
    return result
