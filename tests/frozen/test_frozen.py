"""Archives of earlier versions still give the answers that were recorded when they were exported.

Answers are compared bit for bit if the processor's vector instructions and the library versions are those of the
recording. Elsewhere numbers may differ by `TOLERANCE`, because sums are computed in another order.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from fastmar_contract.errors import RequestError
from fastmar_runtime import payload
from fastmar_runtime.golden import replay_golden
from fastmar_runtime.predictor import Predictor
from tests.frozen.record import answers_of, machine

HERE = Path(__file__).parent
ARCHIVES = sorted(HERE.glob("protocol-*/*.mar"))
TOLERANCE = 1e-5


WORDING = ("message", "fix")  # of warnings and errors; today's runtime may word them differently


def read(archive: Path, part: str) -> Any:
    """The recorded requests or answers of an archive."""
    return json.loads(archive.with_name(f"{archive.stem}.{part}.json").read_text("utf-8"))


def is_same_machine(archive: Path) -> bool:
    return bool(json.loads(archive.with_name("machine.json").read_text("utf-8")) == machine())


def body(answer: dict[str, Any]) -> bytes:
    return base64.b64decode(answer["body"])


def parse(text: bytes) -> list[Any]:
    """A JSON document, or the documents of JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


def without_wording(value: Any) -> Any:
    """A JSON value without the texts of its warnings and errors; code, field and value stay."""
    if isinstance(value, dict):
        return {key: without_wording(item) for key, item in value.items() if key not in WORDING}
    return [without_wording(item) for item in value] if isinstance(value, list) else value


def split_floats(value: Any, floats: list[float]) -> Any:
    """A JSON value with 0.0 in place of each float; the floats are appended to `floats`."""
    if isinstance(value, dict):
        return {key: split_floats(item, floats) for key, item in value.items()}
    if isinstance(value, list):
        return [split_floats(item, floats) for item in value]
    if isinstance(value, float):
        floats.append(value)
        return 0.0
    return value


def check_close(actual: Any, expected: Any) -> None:
    """Assert that two JSON values are equal except for small differences of floats."""
    actual_floats: list[float] = []
    expected_floats: list[float] = []
    assert split_floats(actual, actual_floats) == split_floats(expected, expected_floats)
    assert actual_floats == pytest.approx(expected_floats, abs=TOLERANCE, rel=TOLERANCE)


def test_there_are_archives() -> None:
    assert {archive.stem for archive in ARCHIVES} == {"picture", "table"}


each_archive = pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: f"{path.parent.name}-{path.stem}")


@each_archive
def test_its_own_runtime_gives_the_recorded_bytes(archive: Path) -> None:
    recorded = read(archive, "answers")
    answers = list(answers_of(archive, archive.with_name(f"{archive.stem}.requests.json")))
    assert [(a["status"], a["type"]) for a in answers] == [(a["status"], a["type"]) for a in recorded]
    for answer, expected in zip(answers, recorded, strict=True):
        if is_same_machine(archive):
            assert body(answer) == body(expected)
        else:
            check_close(parse(body(answer)), parse(body(expected)))


@each_archive
def test_the_current_runtime_gives_the_recorded_answers(archive: Path) -> None:
    """Warnings and errors are compared by code, field and value, not by their texts."""
    predictor = Predictor.open(archive)
    assert replay_golden(predictor) > 0
    statuses = []
    for request, expected in zip(read(archive, "requests"), read(archive, "answers"), strict=True):
        if not request["type"]:
            continue  # the schema, which has further parts today
        response = respond(predictor, base64.b64decode(request["body"]), request["type"])
        assert (response.status, response.content_type) == (expected["status"], expected["type"])
        actual_json, expected_json = (without_wording(parse(each)) for each in (response.body, body(expected)))
        if is_same_machine(archive):
            assert json.dumps(actual_json) == json.dumps(expected_json)
        else:
            check_close(actual_json, expected_json)
        statuses.append(response.status)
    assert statuses.count(200) > 5
    assert statuses.count(400) > 1


def respond(predictor: Predictor, content: bytes, media_type: str) -> payload.Response:
    try:
        request = payload.read(content, media_type, predictor.spec)
    except RequestError as error:
        return payload.refused(error)
    return payload.write(request, predictor.predict(request.records), predictor.spec)
