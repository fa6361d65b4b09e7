"""What a model of a schema could be asked and could answer: for `testing`, where no model is."""

from __future__ import annotations

import io
import json
import random
import zlib
from collections.abc import Mapping
from typing import Any

from fastmar_client.encoding import encode
from fastmar_client.json_schema import made_up
from fastmar_client.picture_records import EXAMPLE_SIZE, black_png
from fastmar_client.problems import Column, Problem
from fastmar_client.schema import Schema
from fastmar_contract.csv_rows import CsvRows
from fastmar_contract.errors import RecordError
from fastmar_contract.values import CATEGORY, DATE, NUMBER

_DATE = "2024-01-31"
_MOST = 1000.0  # of a made-up number
_GIVEN = ("name", "warnings")  # parts of an answer that are not made up

JSON = dict[str, Any]


def record(schema: Schema) -> JSON:
    """A record that is answered without a warning."""
    if schema.traits.example is not None:
        return schema.traits.example()
    described = schema.described.get("record") or {}
    examples = described.get("examples")
    if examples and isinstance(examples[0], dict):
        return dict(examples[0])
    names = (*schema.required, *schema.dates) or schema.columns
    properties = described.get("properties") or {}
    return {name: _value(schema.columns[name], properties.get(name) or {}) for name in names}


def answer(schema: Schema, asked: Any, place: int) -> JSON:
    """The answer to a record, always the same to the same; an error where the model would give one."""
    if isinstance(asked, RecordError):
        return asked.as_dict(place)
    problems = [] if isinstance(asked, bytes) else schema.problems(asked)
    properties = (schema.described.get("answer") or {}).get("properties") or {}
    name = {"name": asked["name"]} if "name" in properties and isinstance(asked, dict) and "name" in asked else {}
    refused = next((problem for problem in problems if problem.weight == "refused"), None)
    if refused is not None:
        report = {"code": refused.code, "field": refused.field, "message": refused.message, "fix": refused.fix}
        return {**name, "error": {**report, "record": place}}
    data = encode(asked) if not isinstance(asked, bytes) else asked
    chance = random.Random(zlib.crc32(data))  # noqa: S311 - guards nothing
    told = [problem.as_warning() for problem in problems if _is_the_servers(problem)]
    made = _prediction(properties, chance)
    others = {each: made_up(properties[each], chance) for each in properties if each not in {*_GIVEN, *made}}
    return {**name, **made, **others, "warnings": told}


def read_body(body: bytes, content_type: str, schema: Schema) -> tuple[list[Any], str]:
    """The records of a request, and the shape of its answer: "one", "list", "predictions" or "lines".

    Raises:
        ValueError: it is none that the model reads.
        TableUnreadable: it is a CSV without a usable header, or without rows.
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
    return made_up(described, random.Random(0))  # noqa: S311 - guards nothing


def _is_the_servers(problem: Problem) -> bool:
    return problem.code != "outside_training"  # which only the client says


def _prediction(properties: Mapping[str, Any], chance: random.Random) -> JSON:
    """The prediction of a known kind of answer, with what belongs to it; of any other a value of its schema."""
    schema = properties.get("prediction") or {}
    told = properties.get("probabilities") or {}
    if _labels(told):
        made = _one_label(_labels(told), chance) if "index" in properties else _some_labels(_labels(told), chance)
        return {**made, "probabilities": _likeliest(made["probabilities"], told.get("maxProperties"))}
    if "points_model" in properties:
        points = [[chance.uniform(0, EXAMPLE_SIZE), chance.uniform(0, EXAMPLE_SIZE)] for _ in range(2)]
        return {"prediction": points, "points_model": points}
    if "mask" in (schema.get("properties") or {}):
        return {"prediction": _mask()}
    if schema.get("type") == "array" and schema.get("items", {}).get("type", "number") == "number":
        targets = schema.get("x-fastmar", {}).get("targets") or [None]
        return {"prediction": [chance.uniform(0, _MOST) for _ in targets]}
    return {"prediction": made_up(schema or {"type": "number"}, chance)}


def _labels(schema: Mapping[str, Any]) -> list[str]:
    return list(schema.get("properties") or schema.get("propertyNames", {}).get("enum", []))


def _one_label(labels: list[str], chance: random.Random) -> JSON:
    weights = [chance.random() ** 3 + 1e-3 for _ in labels]
    shares = [weight / sum(weights) for weight in weights]
    index = shares.index(max(shares))
    return {"prediction": labels[index], "index": index, "probabilities": dict(zip(labels, shares, strict=True))}


def _likeliest(shares: JSON, most: int | None) -> JSON:
    """All, or the largest of many, the largest first."""
    if most is None:
        return shares
    return dict(sorted(shares.items(), key=lambda share: share[1], reverse=True)[:most])


def _some_labels(labels: list[str], chance: random.Random) -> JSON:
    shares = {label: chance.random() for label in labels}
    return {"prediction": [label for label, share in shares.items() if share > 0.5], "probabilities": shares}


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
