"""A fake client of the model server, with schemas and answers that tests choose."""

from __future__ import annotations

import copy
import csv
import io
import json
from pathlib import Path
from typing import Any

from fastmar_client import ModelNotFound, RecordRefused, ServerUnreachable
from fastmar_client.scoring import score_csv

JSON = dict[str, Any]

HOSTILE = "<script>alert(1)</script>"
QUOTED = "\"><img src=x onerror=alert(1)>'"


def category(*values: Any, default: Any = None, count: int | None = None) -> JSON:
    details = {"kind": "category", "categories": list(values), "category_count": count or len(values)}
    return {"type": ["string", "number", "boolean", "null"], "default": default or values[0], "x-fastmar": details}


def number(default: float, *, spread: float = 10.0, nullable: bool = False, **more: Any) -> JSON:
    types = ["number", "boolean", *(["null"] if nullable else [])]
    return {"type": types, "default": default, "x-fastmar": {"kind": "number", "standard_deviation": spread, **more}}


COUNTRIES = [f" Country-{n}" for n in range(40)]
PEOPLE: JSON = {
    "work-class": category(" Private", " State-gov", " ?"),
    "native-country": category(*COUNTRIES),
    "level": category(3, 7, 11),
    "member": category(False, True),
    "age": number(38.44, spread=13.1),
    "hours": number(40.3, nullable=True),
    HOSTILE: category(QUOTED, "plain"),
}


def schema(name: str, properties: JSON, labels: tuple[str, ...] = ("<50k", ">=50k"), **more: Any) -> JSON:
    return {
        "name": name,
        "version": "1.0",
        "kind": "tabular",
        "targets": ["salary"],
        "record": {
            "type": "object",
            "properties": copy.deepcopy(properties),
            "required": list(properties),
            **more.pop("rules", {}),
        },
        "answer": {
            "properties": {
                "prediction": {"type": "string", "enum": list(labels)},
                "index": {"type": "integer"},
                "probabilities": {"properties": {label: {"type": "number"} for label in labels}},
            }
        },
        "notices": [],
        **more,
    }


def pictures(name: str, *, mask: bool = False) -> JSON:
    image = {"x-fastmar": {"kind": "image", "max_bytes": 50_000_000}}
    size = {"mask_size": {"enum": ["model", "original"]}} if mask else {}
    record = {"type": "object", "properties": {"image": image, "name": {}, **size}, "required": ["image"]}
    answer: JSON = {"properties": {}}
    return {
        "name": name, "version": "1.0", "kind": "vision", "targets": ["kind"], "record": record, "answer": answer,
        "notices": [],
    }  # fmt: skip


def answer(share: float = 0.94, label: str = ">=50k", other: str = "<50k", warnings: Any = ()) -> JSON:
    return {"prediction": label, "probabilities": {other: 1 - share, label: share}, "warnings": list(warnings)}


_TOY_PROPERTIES: JSON = {
    "text": {"type": "string", "description": "the text of the review"},
    "stars": {"type": "integer", "minimum": 1, "maximum": 5, "default": 3},
    "weight": {"type": ["number", "null"]},
    "loud": {"type": "boolean", "default": True},
    "seen": {"type": ["boolean", "null"]},
    "tongue": {"enum": ["en", "de", 7], "default": "de"},
    "spans": {"type": "array"},
    "place": {"enum": ["north", "south"]},
    "about": {"type": "object"},
}
TOY: JSON = {
    "name": "toy",
    "version": "1.0",
    "kind": "toy",
    "targets": ["mood"],
    "record": {"type": "object", "properties": _TOY_PROPERTIES, "required": [*_TOY_PROPERTIES][:-2]},
    "answer": {"type": "object", "properties": {"prediction": {"type": "string"}, "reasons": {"type": "array"}}},
    "notices": [],
}
"""A model of a kind that the web app does not know; its last two properties are optional."""

REVIEWS: JSON = {
    **schema("reviews", {"text": {"type": "string", "x-fastmar": {"kind": "text"}}}, ("negative", "positive")),
    "kind": "text",
    "ui": {
        "description": "Whether a review of a film is positive.",
        "examples": [
            {"title": "Short", "record": {"text": "A great film."}},
            {"title": "Long", "record": {"text": "Not a word of the dialogue is wasted. " * 60}},
        ],
    },
}
REVIEWS["record"]["type"] = ["object", "string"]
"""A text model."""

TITLES = ["Alien", "Brazil", "The Assassination of Jesse James by the Coward Robert Ford (2007)", "Q" * 60]
TITLES += [f"Film {number}" for number in range(5, 21)]
FILMS: JSON = {
    **schema("films", {"user": category(*range(1, 21), count=5000), "title": category(*TITLES)}),
    "targets": ["rating"],
    "answer": {"properties": {"prediction": {"type": "number"}}},
    "recommender": {"user": "user", "item": "title", "recommend": {}, "similar": {}},
}
"""A collaborative filtering model: its schema lists some of the users, and all titles, two of them long."""
RECOMMENDED: JSON = {
    "user": 1,
    "recommendations": [
        {"item": title, "prediction": 4.5 - 0.5 * number} for number, title in enumerate(reversed(TITLES[1:5]))
    ],
    "warnings": [],
}
SIMILAR: JSON = {
    "item": "Alien",
    "similar": [{"item": title, "similarity": 0.75 - 0.5 * number} for number, title in enumerate(TITLES[1:4])],
    "warnings": [],
}


class FakeClient:
    """Replaces `fastmar_client.Client`.

    Attributes:
        schemas: by the name of the model.
        answers: by the name of the model: an answer, an error to raise, or a function of the record.
        requests: all records and bodies, in order.
        down: the error of each call, or None.
        loading: names of models that are not ready.
        versions: of all models, the default last.
        sample_pictures: by the name of the model.
    """

    def __init__(self) -> None:
        self.schemas: dict[str, JSON] = {
            "people": schema("people", PEOPLE),
            "fruit": pictures("fruit"),
            "streets": pictures("streets", mask=True),
        }
        self.answers: dict[str, Any] = {
            "people": answer(),
            "fruit": answer(label="apple", other="pear"),
            "streets": answer(),
        }
        self.requests: list[Any] = []
        self.down: Exception | None = None
        self.loading: set[str] = set()
        self.versions = ["1.0"]
        self.sample_pictures: dict[str, list[bytes]] = {}

    def models(self) -> list[JSON]:
        self._raise_if_down()
        newest = self.versions[-1]
        return [
            {"name": name, "version": newest, "versions": self.versions, "ready": name not in self.loading}
            for name in self.schemas
        ]

    def samples(self, name: str, version: str | None = None) -> list[bytes]:
        self._raise_if_down()
        return self.sample_pictures.get(name, [])

    def schema(self, name: str, version: str | None = None) -> JSON:
        self._raise_if_down()
        version = version or self.versions[-1]
        if name not in self.schemas or version not in self.versions:
            raise ModelNotFound("Model not found", fix="look")
        return {**copy.deepcopy(self.schemas[name]), "version": version}

    def predict(self, name: str, record: Any, version: str | None = None) -> JSON:
        self._raise_if_down()
        self.requests.append(record)
        found = self.answers[name]
        found = found(record) if callable(found) else found
        if isinstance(found, Exception):
            raise found
        return copy.deepcopy(found)

    def explain(self, name: str, record: JSON | bytes, *, version: str | None = None) -> JSON:
        asked = {"image": record} if isinstance(record, bytes) else record
        return self.predict(name, {**asked, "explain": True}, version)

    def predict_body(self, name: str, body: bytes, content_type: str, version: str | None = None) -> list[JSON]:
        return [self.predict(name, (content_type, body), version)]

    def score_csv(self, name: str, source: Path, target: Path, *, version: Any = None, **more: Any) -> Any:
        self._raise_if_down()
        return score_csv(_Rows(self, name, version), source, target, **more)

    def _raise_if_down(self) -> None:
        if self.down is not None:
            raise self.down

    def go_down(self) -> None:
        """Make the server unreachable."""
        self.down = ServerUnreachable("no answer from http://10.9.8.7:8080: refused.", fix="start it.")


class _Rows:
    """The source of answers for `score_csv`: the fake's answer to each row."""

    def __init__(self, client: FakeClient, name: str, version: str | None) -> None:
        self._client = client
        self._name = name
        self.schema = client.schema(name, version)
        self.identity = json.dumps(self.schema)

    def answer(self, body: bytes, content_type: str) -> list[JSON]:
        is_csv = content_type == "text/csv"
        rows = list(csv.DictReader(io.StringIO(body.decode()))) if is_csv else json.loads(body)
        found = []
        for row in rows:
            try:
                found.append(self._client.predict(self._name, row))
            except RecordRefused as error:
                found.append(error.as_dict())  # type: ignore[arg-type]
        return found
