"""The golden records of an archive, asked over HTTP of the version that was loaded from it."""

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
from fastmar_serving.rollout.asking import Asked, ask
from fastmar_serving.rollout.errors import GoldenDiffers, NothingToProve
from fastmar_serving.rollout.shadow import mask_difference
from fastmar_serving.torchserve.archives import UNREADABLE

LONGEST = 300  # characters of an answer in a message


@dataclass(frozen=True)
class Golden:
    """Records with the answers that were recorded at export, and how the model's output becomes an answer."""

    records: list[Any]
    answers: list[Answer]
    decode: dict[str, Any]

    def asked(self) -> list[Asked]:
        """The records as requests."""
        return [Asked.record(f"golden record {row}", record) for row, record in enumerate(self.records)]


def read_golden(path: Path) -> Golden:
    """The golden records in an archive.

    Raises:
        NothingToProve: it has none, or they are damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            records, answers, spec = (json.loads(read_member(archive, name)) for name in (RECORDS, ANSWERS, SPEC))
        golden = Golden(records, answers, spec["decode"])
        whole = isinstance(records, list) and isinstance(answers, list) and len(records) == len(answers) > 0
    except UNREADABLE as error:
        raise _nothing(path, f"{type(error).__name__}: {error}") from error
    if not whole:
        raise _nothing(path, "records and answers do not belong together")
    return golden


def replay(
    client: Client, name: str, version: str, golden: Golden, show: Callable[[str], None] = lambda _: None
) -> float:
    """Ask one version for every golden record; the value is the largest difference of a number.

    Raises:
        GoldenDiffers: an answer is not the one that was recorded; it names the first.
    """
    largest = 0.0
    for row, (asked, recorded) in enumerate(zip(golden.asked(), golden.answers, strict=True)):
        show(f"Golden records: {row} of {len(golden.records)}")
        answers = ask(client, name, version, asked)
        if len(answers) != 1 or not answers_agree(answers[0], recorded, golden.decode, mask_difference):
            said = _shown(answers[0] if len(answers) == 1 else answers)
            raise GoldenDiffers(
                f"{name} {version} answers golden record {row} with {said}; recorded was {_shown(recorded)}.",
                fix="export it again with the onnxruntime of this server; `fastmar doctor` on the archive says more.",
            )
        largest = max(largest, difference(recorded, answers[0], mask_difference) or 0.0)
    return largest


def _nothing(path: Path, reason: str) -> NothingToProve:
    return NothingToProve(
        f"{path} has no golden records that its answers could be compared with ({reason}).",
        fix="make the archive with `fastmar export`, which records them.",
    )


def _shown(answer: Any) -> str:
    text = printable(json.dumps(answer, ensure_ascii=False))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
