"""Schemas of records that request a list of items, and of the lists; see `item_lists`."""

from __future__ import annotations

from fastmar_runtime.operations.recommender.item_lists import MAX_K, RECOMMEND, SEEN, SIMILAR, options
from fastmar_runtime.record_schemas import category_type, declarable, example
from fastmar_runtime.schema_parts import FLOAT, JSON, closed_object, open_object, ref
from fastmar_runtime.spec import Recommender, Spec

LISTS = {RECOMMEND: ("RecommendRequest", "Recommendations"), SIMILAR: ("SimilarRequest", "SimilarItems")}
"""OpenAPI components of the record and of the answer, by option."""

_ID: JSON = {"type": ["string", "number", "boolean", "null"]}
_TEXTS = {
    RECOMMEND: "the number of items to recommend to the user, the best first",
    SIMILAR: "the number of items that are similar to the item, the most similar first",
    SEEN: "items to leave out",
}


def describe_lists(spec: Spec, recommender: Recommender) -> JSON:
    """The columns of user and item, and for each option the JSON Schemas of its record and answer."""
    lists = {option: {"record": _record(spec, option), "answer": _answer(option)} for option in options(recommender)}
    return {"user": recommender.user, "item": recommender.item, **lists}


def list_components(spec: Spec, recommender: Recommender) -> JSON:
    """OpenAPI schemas of the records and answers of the model's options, by name."""
    found: JSON = {}
    for option in options(recommender):
        record, answer = LISTS[option]
        found |= {record: _record_component(spec, option), answer: _answer_component(spec, option)}
    return found


def list_example(spec: Spec, option: str) -> JSON:
    """A plausible record with the option."""
    name = _column(spec, option)
    return {name: example(spec)[name], option: 10}


def _column(spec: Spec, option: str) -> str:
    """The column that a record with the option has."""
    assert spec.recommender is not None  # noqa: S101 - for the type checker: else there are no options
    return spec.recommender.user if option == RECOMMEND else spec.recommender.item


def _record(spec: Spec, option: str) -> JSON:
    properties: JSON = {
        _column(spec, option): _ID,
        option: {"type": "integer", "minimum": 1, "maximum": MAX_K, "description": _TEXTS[option]},
    }
    required = [*properties]
    if option == RECOMMEND:
        properties[SEEN] = {"type": ["array", "null"], "items": _ID, "description": _TEXTS[SEEN]}
    return {"type": "object", "properties": properties, "required": required}


def _answer(option: str) -> JSON:
    subject, listed, number = _names(option)
    entry = {"item": _ID, number: {"type": "number"}}
    entries = {"type": "array", "items": {"type": "object", "properties": entry, "required": [*entry]}}
    properties = {subject: _ID, listed: entries, "warnings": {"type": "array"}}
    return {"type": "object", "properties": properties, "required": [*properties]}


def _names(option: str) -> tuple[str, str, str]:
    """Names in the answer: of the value that was sent, of the list, and of the number of an item."""
    return ("user", "recommendations", "prediction") if option == RECOMMEND else ("item", "similar", "similarity")


def _record_component(spec: Spec, option: str) -> JSON:
    name = _column(spec, option)
    count = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_K, "description": _TEXTS[option]}
    properties = {name: {**_type(spec, name), "nullable": True}, option: count}
    if option == RECOMMEND:
        items = _type(spec, _column(spec, SIMILAR))
        properties[SEEN] = {"type": "array", "items": items, "description": _TEXTS[SEEN]}
    if not declarable([*properties]):  # a map, as for records
        return {"type": "object", "additionalProperties": True, "description": _TEXTS[option]}
    return closed_object(properties, (name, option))


def _answer_component(spec: Spec, option: str) -> JSON:
    subject, listed, number = _names(option)
    item = _type(spec, _column(spec, SIMILAR))
    entry = open_object({"item": item, number: FLOAT}, ("item", number))
    sent = {**_type(spec, _column(spec, option)), "nullable": True}
    warnings = {"type": "array", "items": ref("AnswerWarning")}
    return open_object(
        {subject: sent, listed: {"type": "array", "items": entry}, "warnings": warnings}, (listed, "warnings")
    )


def _type(spec: Spec, name: str) -> JSON:
    return next(category_type(field) for field in spec.fields if field.name == name)
