"""Entries of the request log; see `fastmar_contract.request_log` for their format."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from fastmar_contract.request_log import FORMAT, LogOptions
from fastmar_runtime.spec import IMAGE, Spec

_PARTS = ("prediction", "index", "probabilities")  # of an answer
_ENTRY_BYTES, _NUMBER_BYTES = 1000, 100  # estimates of the memory of an entry, and of each of its probabilities


@dataclass(slots=True)
class Exchange:
    """A request, its answers, and the measures of its records.

    Attributes:
        time: the time of the answer, ISO 8601.
        request_id: the id of the request.
        records: the records of the request; empty if they are pictures.
        answers: one per record.
        measures: the measures of the records, by index of the record.
    """

    time: str
    request_id: str
    records: Sequence[Any]
    answers: Sequence[Mapping[str, Any]]
    measures: Mapping[int, Mapping[str, float]]

    def size(self) -> int:
        """Estimated bytes in memory."""
        size = _ENTRY_BYTES * len(self.answers)
        for record in self.records:
            for value in record.values() if type(record) is dict else (record,):
                if type(value) is str:
                    size += len(value)
        for answer in self.answers:
            size += _NUMBER_BYTES * len(answer.get("probabilities", ()))
        return size


class EntryWriter:
    """Turns exchanges into lines.

    Args:
        spec: the spec of the model.
        digest: the digest of its reference profile; None if it has none.
        options: what to log.
        salt: key of the hashes; not used if no field is hashed.
    """

    def __init__(self, spec: Spec, digest: str | None, options: LogOptions, salt: bytes = b"") -> None:
        self._model = {"model": spec.name, "version": spec.version, "digest": digest}
        fields = [field for field in spec.fields if field.kind != IMAGE]
        names = {name: field.name for field in fields for name in (field.name, *field.aliases)}
        dropped = {name for name, field in names.items() if field in options.drop}
        self._known = names.keys() | {field.name for field in spec.fields}
        self._hashed = {name for name, field in names.items() if field in options.hash} - dropped
        self._kept = [name for name in names if name not in dropped]
        self._text = fields[0].name if len(fields) == 1 else None
        hidden = {
            "dropped": [field.name for field in fields if field.name in dropped],
            "hashed": [field.name for field in fields if field.name in self._hashed],
        }
        self._hidden = {name: listed for name, listed in hidden.items() if listed}
        self._salt = salt
        self.reads_records = bool(fields)

    def lines(self, exchange: Exchange) -> Iterator[bytes]:
        """The lines of an exchange, one per record.

        Raises:
            ValueError, RecursionError: a value can't be written as JSON.
        """
        start = {"format": FORMAT, "time": exchange.time, "request_id": exchange.request_id}
        for row, answer in enumerate(exchange.answers):
            record = self._record(exchange.records[row]) if exchange.records else {}
            entry: dict[str, Any] = {
                **start,
                "row": row,
                **self._model,
                "record": record,
                "answer": self._answer(answer),
            }
            if row in exchange.measures:
                entry["measures"] = exchange.measures[row]
            yield _json(entry | self._hidden if self._hidden else entry) + b"\n"

    def _record(self, record: Any) -> dict[str, Any]:
        if isinstance(record, str) and self._text is not None:
            record = {self._text: record}
        if not isinstance(record, dict):  # refused
            return {}
        found = {name: record[name] for name in self._kept if name in record}
        for name in self._hashed:
            if found.get(name) is not None:
                found[name] = hash_value(found[name], self._salt)
        return found

    def _answer(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """The answer without messages and names, which may contain values, and without masks."""
        if "error" in answer:
            return {"error": self._coded(answer["error"])}
        found: dict[str, Any] = {part: answer[part] for part in _PARTS if part in answer}
        if isinstance(found.get("prediction"), dict):
            del found["prediction"]
        found["warnings"] = [self._coded(warning) for warning in answer["warnings"]]
        return found

    def _coded(self, problem: Mapping[str, Any]) -> dict[str, Any]:
        """The code and field of a warning or error; the name of an unknown column is the caller's text."""
        field = problem["field"]
        return {"field": field if field in self._known else None, "code": problem["code"]}


def hash_value(value: Any, salt: bytes) -> str:
    """HMAC-SHA256 of a value in hexadecimal digits: of a text in UTF-8, or of the JSON of another value."""
    data = value.encode("utf-8", "replace") if isinstance(value, str) else _json(value)
    return hmac.digest(salt, data, "sha256").hex()


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # an unpaired surrogate, or an integer of more than 64 bits
        return json.dumps(value, default=str, ensure_ascii=False).encode("utf-8", "replace")
