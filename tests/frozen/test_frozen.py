"""Archives of earlier versions give the answers that they gave when they were made.

To the last bit where the processor's vector instructions and the versions of the libraries are those that recorded
them; elsewhere numbers may differ by `TOLERANCE`, since sums are computed in another order.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from fastmar_runtime import payload
from fastmar_runtime.golden import replay_golden
from fastmar_runtime.predictor import Predictor
from tests.frozen.record import answers_of, machine

HERE = Path(__file__).parent
ARCHIVES = sorted(HERE.glob("protocol-*/*.mar"))
TOLERANCE = 1e-5


def read(archive: Path, what: str) -> Any:
    return json.loads(archive.with_name(f"{archive.stem}.{what}.json").read_text("utf-8"))


def is_same_machine(archive: Path) -> bool:
    return bool(json.loads(archive.with_name("machine.json").read_text("utf-8")) == machine())


def body(answer: dict[str, Any]) -> bytes:
    return base64.b64decode(answer["body"])


def check_same(ours: bytes, theirs: bytes, archive: Path) -> None:
    if is_same_machine(archive):
        assert ours == theirs
    else:
        assert values(ours) == pytest.approx(values(theirs), abs=TOLERANCE, rel=TOLERANCE)
        assert shape(ours) == shape(theirs)


def documents(text: bytes) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def values(text: bytes) -> list[float]:
    """All numbers with a fraction in a JSON document, or in lines of them."""
    return [number for document in documents(text) for number in numbers(document)]


def numbers(value: Any) -> list[float]:
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return [number for item in items for number in numbers(item)]
    return [value] if isinstance(value, float) else []


def shape(text: bytes) -> Any:
    """The document without those numbers."""

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: without(item) for key, item in value.items()}
        if isinstance(value, list):
            return [without(item) for item in value]
        return 0.0 if isinstance(value, float) else value

    return [without(document) for document in documents(text)]


def test_there_are_archives() -> None:
    assert {archive.stem for archive in ARCHIVES} == {"picture", "table"}


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_its_own_runtime_gives_the_recorded_answers(archive: Path) -> None:
    recorded = read(archive, "answers")
    ours = list(answers_of(archive, archive.with_name(f"{archive.stem}.requests.json")))
    assert [(a["status"], a["type"]) for a in ours] == [(a["status"], a["type"]) for a in recorded]
    for ours_one, theirs in zip(ours, recorded, strict=True):
        check_same(body(ours_one), body(theirs), archive)


@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_todays_runtime_gives_the_recorded_answers(archive: Path) -> None:
    predictor = Predictor.open(archive)
    assert replay_golden(predictor) > 0
    compared = 0
    for request, theirs in zip(read(archive, "requests"), read(archive, "answers"), strict=True):
        if theirs["status"] != 200 or not request["type"]:
            continue  # the wording of errors and the schema may improve
        asked = payload.read(base64.b64decode(request["body"]), request["type"], predictor.spec)
        ours = payload.write(asked, predictor.predict(asked.records), predictor.spec)
        check_same(ours.body, body(theirs), archive)
        compared += 1
    assert compared > 5
