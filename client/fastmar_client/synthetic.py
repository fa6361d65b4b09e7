"""Synthetic records and answers that fit a model's schema, for the fake server of `testing`."""

from __future__ import annotations

import io
import json
import random
import zlib
from collections.abc import Mapping
from typing import Any

from fastmar_client.encoding import encode
from fastmar_client.explaining import EXPLAIN
from fastmar_client.generation import EMBED, GENERATE
from fastmar_client.item_lists import RECOMMEND, SEEN, SIMILAR
from fastmar_client.json_schema import synthetic_value
from fastmar_client.picture_checks import find_problem
from fastmar_client.picture_records import EXAMPLE_SIZE, black_png
from fastmar_client.problems import Column
from fastmar_client.schema import Schema
from fastmar_contract.csv_rows import CsvRows
from fastmar_contract.errors import RecordError
from fastmar_contract.values import CATEGORY, DATE, NUMBER

_DATE = "2024-01-31"
_NUMBER_RANGE = 1000.0
_EMBEDDING_SIZE = 12
_NOT_SYNTHETIC = ("name", "warnings")  # keys of an answer

# Names in a list of items: of what was sent, of the list, and of the number of an item.
_LIST_NAMES = {RECOMMEND: ("user", "recommendations", "prediction"), SIMILAR: ("item", "similar", "similarity")}

JSON = dict[str, Any]


def record(schema: Schema) -> JSON:
    """A record that is answered without warnings."""
    if schema.traits.example is not None:
        return schema.traits.example()
    described = schema.described.get("record") or {}
    examples = described.get("examples")
    if examples and isinstance(examples[0], dict):
        return dict(examples[0])
    names = (*schema.required, *schema.dates) or schema.columns
    properties = described.get("properties") or {}
    return {name: _value(schema.columns[name], properties.get(name) or {}) for name in names}


def answer(schema: Schema, record: Any, position: int) -> JSON:
    """The answer to a record, always the same to the same record; an error if the model would return one."""
    if isinstance(record, RecordError):
        return record.as_dict(position)
    problems = [] if isinstance(record, bytes) else schema.problems(record)
    if schema.traits.reads_files and (damage := find_problem(record)) is not None:
        problems.append(damage)
    properties = (schema.described.get("answer") or {}).get("properties") or {}
    name = {"name": record["name"]} if "name" in properties and isinstance(record, dict) and "name" in record else {}
    refusal = next((problem for problem in problems if problem.weight == "refused"), None)
    if refusal is not None:
        report = {"code": refusal.code, "field": refusal.field, "message": refusal.message, "fix": refusal.fix}
        return {**name, "error": {**report, "record": position}}
    data = encode(record) if not isinstance(record, bytes) else record
    rng = random.Random(zlib.crc32(data))  # noqa: S311 - not for security
    warnings = [problem.as_warning() for problem in problems if problem.code != "outside_training"]  # the client's own
    prediction = _prediction(properties, rng)
    others = [key for key in properties if key not in {*_NOT_SYNTHETIC, *prediction}]
    values = {key: synthetic_value(properties[key], rng) for key in others}
    return {**name, **prediction, **values, "warnings": warnings}


def item_list(schema: Schema, record: Any) -> JSON | None:
    """The list of items that a record requests, in the order of the schema; None for another record.

    The fake server neither checks the record's values nor warns of them.
    """
    recommender = schema.described.get("recommender") or {}
    option = next((name for name in (RECOMMEND, SIMILAR) if name in recommender and name in record), None)
    if option is None:
        return None
    sent = record.get(recommender["user" if option == RECOMMEND else "item"])
    left_out = (record.get(SEEN) or ()) if option == RECOMMEND else (sent,)
    items = [item for item in schema.columns[recommender["item"]].categories if item not in left_out][: record[option]]
    subject, listed, number = _LIST_NAMES[option]
    entries = [{"item": item, number: 1 / place} for place, item in enumerate(items, 1)]
    return {subject: sent, listed: entries, "warnings": []}


def explanation(schema: Schema, record: Any, position: int) -> JSON | None:
    """The explanation that a record requests, with empty curves or a grid of zeros; None for another record."""
    is_explained = EXPLAIN in (schema.described.get("explainer") or {})
    if not (is_explained and isinstance(record, dict) and record.get(EXPLAIN) is True):
        return None
    sent = {name: value for name, value in record.items() if name != EXPLAIN}
    answered = answer(schema, sent, position)
    if "error" in answered:
        return answered
    label, warnings = answered["prediction"], answered.pop("warnings")
    value = answered["probabilities"].get(label, 0.0) if "probabilities" in answered else label
    columns = [
        {"column": name, "sent": each, "typical": each, "effect": 0.0, "curve": []}
        for name, each in sent.items()
        if name in schema.columns
    ]
    outcome = label if "probabilities" in answered else schema.described["targets"][0]
    is_picture = "grid" in schema.described["explainer"][EXPLAIN]["answer"]["properties"]
    grid = {"area": [0, 0, EXAMPLE_SIZE, EXAMPLE_SIZE], "grid": [[0.0]]}
    parts = grid if is_picture else {"columns": columns}
    return {"answer": answered, "outcome": outcome, "value": value, **parts, "warnings": warnings}


def of_text(schema: Schema, record: Any) -> JSON | None:
    """The text or the encoding that a record requests, always the same for the same record; None for another record.

    The fake server neither checks the record's values nor warns of them.
    """
    options = schema.described.get("generator") or {}
    option = next((name for name in options if isinstance(record, dict) and name in record), None)
    if option is None:
        return None
    rng = random.Random(zlib.crc32(encode(record)))  # noqa: S311 - not for security
    if option == EMBED:
        return {"embedding": [rng.uniform(-1, 1) for _ in range(_EMBEDDING_SIZE)], "warnings": []}
    tokens = schema.described["answer"]["properties"]["prediction"].get("enum") or ["token"]
    text = " ".join(str(record[name]) for name in schema.columns if name in record)
    generated = " ".join(rng.choice(tokens) for _ in range(record[GENERATE]))
    return {"text": f"{text} {generated}", "generated": generated, "warnings": []}


def read_body(body: bytes, content_type: str, schema: Schema) -> tuple[list[Any], str]:
    """The records of a request, and the shape of its answer: "one", "list", "predictions" or "lines".

    Raises:
        ValueError: the model can't read the body.
        TableUnreadable: the body is a CSV without a usable header, or without rows.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "text/csv":
        return _read_csv(body.decode("utf-8-sig"), schema), "list"
    if media_type.startswith("image/") or media_type == "application/octet-stream":
        return [body], "one"
    if media_type == "application/jsonlines":
        return [json.loads(line) for line in body.splitlines() if line.strip()], "lines"
    data = json.loads(body)
    if isinstance(data, list):
        return data, "list"
    if isinstance(data, dict) and isinstance(data.get("instances"), list) and "instances" not in schema.columns:
        return data["instances"], "predictions"
    return [data], "one"


def _value(column: Column, described: JSON) -> Any:
    if column.default is not None:
        return column.default
    if column.kind == CATEGORY:
        return column.categories[0] if column.categories else None
    if column.kind == DATE:
        return _DATE
    if column.kind == NUMBER:
        return column.minimum or 0
    return synthetic_value(described, random.Random(0))  # noqa: S311 - not for security


def _prediction(properties: Mapping[str, Any], rng: random.Random) -> JSON:
    """The prediction with its probabilities or points; for an unknown kind of answer, a value of its schema."""
    schema = properties.get("prediction") or {}
    probabilities = properties.get("probabilities") or {}
    if labels := _labels(probabilities):
        made = _one_label(labels, rng) if "index" in properties else _several_labels(labels, rng)
        return {**made, "probabilities": _top_k(made["probabilities"], probabilities.get("maxProperties"))}
    if "points_model" in properties:
        points = [[rng.uniform(0, EXAMPLE_SIZE), rng.uniform(0, EXAMPLE_SIZE)] for _ in range(2)]
        return {"prediction": points, "points_model": points}
    if "mask" in (schema.get("properties") or {}):
        return {"prediction": _mask()}
    if schema.get("type") == "array" and schema.get("items", {}).get("type", "number") == "number":
        targets = schema.get("x-fastmar", {}).get("targets") or [None]
        return {"prediction": [rng.uniform(0, _NUMBER_RANGE) for _ in targets]}
    return {"prediction": synthetic_value(schema or {"type": "number"}, rng)}


def _labels(schema: Mapping[str, Any]) -> list[str]:
    return list(schema.get("properties") or schema.get("propertyNames", {}).get("enum", []))


def _one_label(labels: list[str], rng: random.Random) -> JSON:
    weights = [rng.random() ** 3 + 1e-3 for _ in labels]
    shares = [weight / sum(weights) for weight in weights]
    index = shares.index(max(shares))
    return {"prediction": labels[index], "index": index, "probabilities": dict(zip(labels, shares, strict=True))}


def _top_k(probabilities: JSON, k: int | None) -> JSON:
    """The k largest probabilities in descending order; all of them if k is None."""
    if k is None:
        return probabilities
    return dict(sorted(probabilities.items(), key=lambda item: item[1], reverse=True)[:k])


def _several_labels(labels: list[str], rng: random.Random) -> JSON:
    probabilities = {label: rng.random() for label in labels}
    return {"prediction": [label for label, p in probabilities.items() if p > 0.5], "probabilities": probabilities}


def _mask() -> JSON:
    classes = [{"index": 0, "name": "background", "pixels": EXAMPLE_SIZE * EXAMPLE_SIZE}]
    return {"mask": black_png(), "width": EXAMPLE_SIZE, "height": EXAMPLE_SIZE, "classes": classes}


def _read_csv(text: str, schema: Schema) -> list[Any]:
    rows = CsvRows(io.StringIO(text, newline=""), sorted(schema.names))
    columns = [schema.columns.get(name) for name in rows.header]
    readers = [column.cell_reader() if column else str for column in columns]
    rows.check_not_empty()
    return [
        row.error or {name: read(cell) for name, read, cell in zip(rows.header, readers, row.cells, strict=True)}
        for row in rows
    ]
