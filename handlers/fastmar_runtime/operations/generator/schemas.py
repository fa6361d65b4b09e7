"""Schemas of records that request a text or an encoding from a language model, and of the answers."""

from __future__ import annotations

from fastmar_runtime.operations.generator.generation import (
    EMBED,
    GENERATE,
    MAX_SEED,
    MAX_TOKENS,
    MIN_P,
    NO_UNK,
    SEED,
    TEMPERATURE,
    requestable,
)
from fastmar_runtime.record_schemas import component, declarable, example, record_schema
from fastmar_runtime.schema_parts import FLOAT, JSON, closed_object, open_object, ref
from fastmar_runtime.spec import Spec

COMPONENTS = {GENERATE: ("GenerateRequest", "GeneratedText"), EMBED: ("EmbedRequest", "Embedding")}
"""OpenAPI components of the record and of the answer, by option."""

_COUNT: JSON = {
    "type": "integer",
    "minimum": 1,
    "maximum": MAX_TOKENS,
    "description": "the number of tokens to generate after the text",
}
_SAMPLING: JSON = {
    TEMPERATURE: {
        "type": "number",
        "exclusiveMinimum": 0,
        "description": "below 1, probable tokens are chosen more often",
    },
    MIN_P: {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "description": "tokens with a lower probability are not chosen",
    },
    NO_UNK: {"type": "boolean", "description": "whether the token for unknown words is never chosen"},
    SEED: {
        "type": "integer",
        "minimum": 0,
        "maximum": MAX_SEED,
        "description": "the same seed gives the same text",
    },
}
_TEXT: JSON = {"type": "string"}


def describe_generation(spec: Spec) -> JSON:
    """For each option the JSON Schemas of its record and answer."""
    texts = record_schema(spec)
    warnings: JSON = {"type": "array"}
    numbers: JSON = {"type": "array", "items": {"type": "number"}}
    answers: JSON = {
        GENERATE: {"text": _TEXT, "generated": _TEXT, "warnings": warnings},
        EMBED: {"embedding": numbers, "warnings": warnings},
    }
    optional = {name: {**each, "type": [each["type"], "null"]} for name, each in _SAMPLING.items()}
    options: JSON = {GENERATE: {GENERATE: _COUNT, **optional}, EMBED: {EMBED: {"const": True}}}
    return {
        option: {
            "record": {
                "type": "object",
                "properties": {**texts["properties"], **options[option]},
                "required": [*texts.get("required", ()), option],
            },
            "answer": {"type": "object", "properties": answers[option], "required": [*answers[option]]},
        }
        for option in requestable(spec)
    }


def generation_components(spec: Spec) -> JSON:
    """OpenAPI schemas of the records and answers of the model's options, by name."""
    warnings: JSON = {"type": "array", "items": ref("AnswerWarning")}
    options: JSON = {GENERATE: {GENERATE: {**_COUNT, "format": "int64"}, **_for_openapi()}}
    options[EMBED] = {EMBED: {"type": "boolean", "description": "true: return the encoding of the text"}}
    answers: JSON = {
        GENERATE: {"text": _TEXT, "generated": _TEXT, "warnings": warnings},
        EMBED: {"embedding": {"type": "array", "items": FLOAT}, "warnings": warnings},
    }
    found: JSON = {}
    texts = component(spec)
    for option in requestable(spec):
        record, answer = COMPONENTS[option]
        properties = {**texts.get("properties", {}), **options[option]}
        names = [field.name for field in spec.fields]
        is_declarable = "properties" in texts and declarable([*properties])
        found[record] = (
            closed_object(properties, (*names, option))
            if is_declarable
            else {"type": "object", "additionalProperties": True}
        )
        found[answer] = open_object(answers[option], answers[option])
    return found


def _for_openapi() -> JSON:
    """The options of sampling in the subset of JSON Schema that client generators support."""
    formats = {"number": {"format": "double"}, "integer": {"format": "int64"}}
    return {
        name: {
            **{key: value for key, value in each.items() if not key.startswith("exclusive")},
            **formats.get(each["type"], {}),
            "nullable": True,
        }
        for name, each in _SAMPLING.items()
    }


def generation_example(spec: Spec, option: str) -> JSON:
    """A plausible record with the option."""
    return {**example(spec), option: 20 if option == GENERATE else True}
