"""Component schemas of the OpenAPI documents, in the subset of JSON Schema that client generators support.

`schema.py` describes records and answers exactly. From such schemas, generators make code that does not compile or
loses values, because of alternatives (`anyOf`), property names that differ only in punctuation (`<50k` and `>=50k`),
enums of labels, and values with several types. Here each value has one type, and labels are keys of a map.
"""

from __future__ import annotations

from fastmar_runtime.answers import answer_kind
from fastmar_runtime.modalities import modality
from fastmar_runtime.operations.kinds import kind_of
from fastmar_runtime.record_schemas import declarable
from fastmar_runtime.schema_parts import COUNT, JSON, TEXT, TEXTS, closed_object, open_object, ref
from fastmar_runtime.spec import Spec

__all__ = ["components", "declarable", "example_record", "shared"]

RECORD, ANSWER, RESULT, ERROR, ERROR_TEXT = "InputRecord", "Answer", "RecordResult", "ErrorResponse", "ErrorText"
RECORDS, RESULTS = "RecordList", "ResultList"
INFER_REQUEST, INFER_RESPONSE, METADATA = "InferRequest", "InferResponse", "ModelMetadata"


def components(spec: Spec) -> JSON:
    """All component schemas by name, for OpenAPI 3.0 (with `nullable`, which `openapi` converts for 3.1)."""
    required, optional = _answer(spec)
    error = ref("ErrorDetail")
    operations = kind_of(spec)
    return {
        RECORD: modality(spec.kind).component(spec),
        ANSWER: open_object({**required, **optional}, required),
        RESULT: {
            **open_object({**required, **optional, "error": error}, ()),
            "description": "the answer to a record of a list, or only `error` if the record was refused",
        },
        RECORDS: closed_object({"instances": {"type": "array", "items": ref(RECORD)}}, ("instances",)),
        RESULTS: closed_object({"predictions": {"type": "array", "items": ref(RESULT)}}, ("predictions",)),
        **answer_kind(spec.decode).component_schemas(),
        **({} if operations is None else operations.schemas(spec)),
        **shared(),
    }


def example_record(spec: Spec) -> JSON:
    """A plausible record."""
    return modality(spec.kind).example(spec)


def _answer(spec: Spec) -> tuple[JSON, JSON]:
    """Required and optional properties of an answer."""
    required = answer_kind(spec.decode).component(spec.decode, spec.targets)
    required["warnings"] = {"type": "array", "items": ref("AnswerWarning")}
    return required, modality(spec.kind).answer_component


def shared() -> JSON:
    """Schemas that are the same for every model."""
    any_value: JSON = {"nullable": True}
    nullable_text: JSON = {**TEXT, "nullable": True}
    tensor: JSON = {
        "name": TEXT,
        "shape": {"type": "array", "items": {"type": "integer", "format": "int64"}},
        "datatype": {**TEXT, "description": "BYTES, BOOL, INT64, FP32, FP64, ..."},
    }
    data = {"data": {"type": "array", "items": any_value}}
    parameters = {"parameters": {"type": "object", "additionalProperties": True}}
    fault: JSON = {
        "code": {**TEXT, "description": "stable name of the problem, for programs"},
        "field": {**nullable_text, "description": "the column with the problem"},
        "message": {**TEXT, "description": "what was found, and where"},
        "fix": {**TEXT, "description": "how to fix it"},
    }
    return {
        "AnswerWarning": open_object(
            {"field": nullable_text, "code": TEXT, "value": any_value, "message": TEXT}, ("code", "message")
        ),
        "Fault": open_object(fault, ("code", "message", "fix")),
        "ErrorDetail": open_object(
            {
                **fault,
                "record": {**COUNT, "nullable": True, "description": "position of the record, from 0"},
                "errors": {"type": "array", "items": ref("Fault"), "description": "all faults, if there are several"},
            },
            ("code", "message", "fix"),
        ),
        ERROR: open_object({"error": ref("ErrorDetail")}, ("error",)),
        ERROR_TEXT: open_object({"error": TEXT}, ("error",)),
        "InputTensor": closed_object({**tensor, **data, **parameters}, [*tensor, *data]),
        "OutputTensor": open_object({**tensor, **data, **parameters}, [*tensor, *data]),
        "TensorMetadata": closed_object(tensor, tensor),
        INFER_REQUEST: closed_object(
            {"id": TEXT, "inputs": {"type": "array", "items": ref("InputTensor")}}, ("inputs",)
        ),
        INFER_RESPONSE: open_object(
            {
                "model_name": TEXT,
                "model_version": TEXT,
                "id": TEXT,
                "outputs": {"type": "array", "items": ref("OutputTensor")},
            },
            ("model_name", "outputs"),
        ),
        METADATA: open_object(
            {
                "name": TEXT,
                "versions": TEXTS,
                "platform": TEXT,
                "inputs": {"type": "array", "items": ref("TensorMetadata")},
                "outputs": {"type": "array", "items": ref("TensorMetadata")},
            },
            ("name", "platform", "inputs", "outputs"),
        ),
    }
