"""Compares the answers of a server with `learn.predict`; a benchmark of wrong answers is invalid."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.golden import read_records

TOLERANCE = 1e-5  # of a probability; another order of summation changes about 1e-7


class WrongAnswer(RuntimeError):
    """A server's answer differs from the learner's."""


def golden_pairs(archive: Path) -> list[tuple[Any, dict[str, Any]]]:
    """The golden records of an archive and their answers, without those that have warnings.

    Servers other than fastmar correct nothing, such as white space around categories.
    """
    pairs = zip(*read_records(BundleFiles(archive)), strict=True)
    return [(record, answer) for record, answer in pairs if not answer["warnings"]]


def difference(answer: Any, expected: dict[str, Any]) -> float:
    """Largest difference of a probability; `answer` may be a list of one answer.

    Raises:
        WrongAnswer: it exceeds the tolerance, the labels differ, or the predicted label differs.
    """
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    actual, right = answer.get("probabilities"), expected["probabilities"]
    if not isinstance(actual, dict) or actual.keys() != right.keys():
        raise WrongAnswer(f"labels differ: expected {expected}, got {answer}")
    largest = max(abs(actual[label] - right[label]) for label in right)
    runner_up, first = sorted(right.values())[-2:]
    tie = first - runner_up <= TOLERANCE
    if not largest <= TOLERANCE or (answer.get("prediction") != expected["prediction"] and not tie):
        raise WrongAnswer(f"expected {expected}, got {answer}")
    return float(largest)


def check_all(
    url: str, bodies: Sequence[bytes], expected: list[dict[str, Any]], content_type: str = "application/json"
) -> float:
    """Send each body once; returns the largest difference."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    answers = []
    try:
        for sent in bodies:
            connection.request("POST", parts.path, sent, {"Content-Type": content_type})
            response = connection.getresponse()
            body = response.read()
            if response.status != http.client.OK:
                raise WrongAnswer(f"status {response.status} for {sent[:200]!r}: {body[:500]!r}")
            answers.append(json.loads(body))
    finally:
        connection.close()
    return max(difference(answer, right) for answer, right in zip(answers, expected, strict=True))


def check_samples(samples: Iterable[tuple[int, str]], expected: list[dict[str, Any]]) -> float:
    """Compare response bodies that were sampled during a measurement; returns the largest difference."""
    return max((difference(json.loads(body), expected[position]) for position, body in samples), default=0.0)
