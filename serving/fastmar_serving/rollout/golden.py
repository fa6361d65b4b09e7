"""Replay the golden records of an archive over HTTP, against the version that was loaded from it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastmar_client import Client
from fastmar_contract.agreement import Answer, answers_agree, difference
from fastmar_contract.display import printable
from fastmar_contract.members import ANSWERS, RECORDS, SPEC, read_member
from fastmar_serving.archives import UNREADABLE
from fastmar_serving.rollout.errors import GoldenDiffers, GoldenRecordsMissing
from fastmar_serving.rollout.requests import Request, send_request
from fastmar_serving.rollout.shadow import mask_difference

MAX_ANSWER = 300  # characters of an answer in a message


@dataclass(frozen=True)
class Golden:
    """Golden records, the answers that were recorded at export, and the decoder of the spec."""

    records: list[Any]
    answers: list[Answer]
    decode: dict[str, Any]

    def as_requests(self) -> list[Request]:
        """One request for each record."""
        return [Request.record(f"golden record {row}", record) for row, record in enumerate(self.records)]


def read_golden(path: Path) -> Golden:
    """Read the golden records of an archive.

    Raises:
        GoldenRecordsMissing: the archive has none, or they are damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            records, answers, spec = (json.loads(read_member(archive, name)) for name in (RECORDS, ANSWERS, SPEC))
        golden = Golden(records, answers, spec["decode"])
        is_complete = isinstance(records, list) and isinstance(answers, list) and len(records) == len(answers) > 0
    except UNREADABLE as error:
        raise _without_golden(path, f"{type(error).__name__}: {error}") from error
    if not is_complete:
        raise _without_golden(path, "the numbers of records and answers differ, or are 0")
    return golden


def replay(
    client: Client, name: str, version: str, golden: Golden, show: Callable[[str], None] = lambda _: None
) -> float:
    """Send each golden record to one version, and return the largest difference of a number in the answers.

    Raises:
        GoldenDiffers: an answer differs from the recorded one; the message shows the first.
    """
    largest = 0.0
    for row, (request, recorded) in enumerate(zip(golden.as_requests(), golden.answers, strict=True)):
        show(f"Golden records: {row} of {len(golden.records)}")
        answers = send_request(client, name, version, request)
        if len(answers) != 1 or not answers_agree(answers[0], recorded, golden.decode, mask_difference):
            answer = _shorten(answers[0] if len(answers) == 1 else answers)
            raise GoldenDiffers(
                f"{name} {version} answers golden record {row} with {answer}; the export recorded "
                f"{_shorten(recorded)}.",
                fix="export it again with the onnxruntime version of this server, or run `fastmar doctor` on the "
                "archive.",
            )
        largest = max(largest, difference(recorded, answers[0], mask_difference) or 0.0)
    return largest


def _without_golden(path: Path, reason: str) -> GoldenRecordsMissing:
    return GoldenRecordsMissing(
        f"{path} has no readable golden records ({reason}), so its answers can't be checked.",
        fix="make the archive with `fastmar export`, which records them.",
    )


def _shorten(answer: Any) -> str:
    text = printable(json.dumps(answer, ensure_ascii=False))
    return text if len(text) <= MAX_ANSWER else f"{text[:MAX_ANSWER]}..."
