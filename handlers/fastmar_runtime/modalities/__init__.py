"""The modalities: what a model reads, one module or package each, named like the modality.

A modality is an object without state, in its module's `MODALITY`. It says all that depends on what a model reads: how
requests become records, records become the graph's inputs, and documents describe them. The defaults are those of a
record that is a JSON object with a value for each field of the spec.
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
    """What models of one modality have in common.

    Attributes:
        name: the spec's `kind`.
        record: what messages and documents call one record.
        reads_csv: whether a CSV with a header holds records: a column for each field.
        reads_files: whether the bytes of a file are a record by themselves.
        formats: the fix of a request that can't be read: the bodies that can.
        other_bodies: for the OpenAPI document, what a path takes besides one record in JSON.
        answer_properties: JSON Schema of what answers have in front of the prediction.
        answer_component: the same for OpenAPI.
        docs_record: HTML on the page `docs` that describes a record; None shows a table of the fields.
        docs_commands: templates of commands on that page.
        docs_input: HTML of the form's input on that page; None shows the example in a text area.
    """

    name: ClassVar[str]
    record: ClassVar[str] = "record"
    reads_csv: ClassVar[bool] = False
    reads_files: ClassVar[bool] = False
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
        """What messages call several records."""
        return f"{self.record}s"

    @abstractmethod
    def preprocessor(self, spec: Spec) -> Preprocessor:
        """What makes the graph's inputs.

        Raises:
            BundleUnreadable: the spec has a step that is not known.
        """

    def check(self, spec: Spec, steps: Sequence[Any]) -> None:  # noqa: B027 - not all have more to check
        """Raise `BundleUnreadable` where the fields, the `steps` and the graph's inputs do not fit together."""

    def mismatch_cause(self, spec: Spec) -> tuple[str, str] | None:  # noqa: ARG002
        """What may explain that golden records are not reproduced here, and the fix; None where nothing is known."""
        return None

    def read_body(self, body: Bytes | str, media_type: MediaType, options: Mapping[str, Any]) -> Request | None:  # noqa: ARG002
        """The record that a body is by itself; None for bodies of JSON, tables and forms.

        Raises:
            RequestError: it is one that the model can't read.
        """
        return None

    def read_form(self, parts: Sequence[Part], max_records: int | None, read_part: forms.ReadPart) -> Request:
        """The records of a form, in the order of its parts; see `forms`.

        Raises:
            RequestError: there are none, or a part can't be read.
        """
        return forms.read_documents(parts, max_records, read_part)

    def tensor_values(self, name: str, values: list[Any]) -> list[Any]:
        """Values of a protocol v2 input as they stand in records. The default takes bytes for text in UTF-8.

        Raises:
            RequestError: they can't be read.
        """
        return tensors.as_text(name, values)

    def with_options(self, record: Any, options: Mapping[str, Any]) -> Any:  # noqa: ARG002
        """`record` with those of `options` that the modality knows, unless the record has its own."""
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
        """OpenAPI schemas of the parts of a form with one file, the file first; empty where there is no such form."""
        return {}


def modality(name: str) -> Modality:
    """The modality of a spec's `kind`.

    Raises:
        BundleUnreadable: there is none of that name.
    """
    found = registry.load("modalities", name)
    if found is None:
        raise BundleUnreadable(
            f"spec.json is of the kind {name!r}, which this runtime does not know.",
            fix="install the package that adds it, or use the version of fastmar that wrote the archive.",
        )
    result: Modality = found.MODALITY
    return result
