"""Whether a server answers what `learn.predict` does: times of wrong answers are worth nothing."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

TOLERANCE = 1e-5  # of a probability; the same sums in another order differ by about 1e-7


class WrongAnswer(RuntimeError):
    """A server does not answer as the learner does."""


def difference(answer: dict[str, Any], expected: dict[str, Any]) -> float:
    """Largest difference of a probability.

    Raises:
        WrongAnswer: it is over the tolerance, or there are other labels, or another one is predicted.
    """
    ours, theirs = answer.get("probabilities"), expected["probabilities"]
    if not isinstance(ours, dict) or ours.keys() != theirs.keys():
        raise WrongAnswer(f"{answer} has not the labels of {expected}")
    largest = max(abs(ours[label] - theirs[label]) for label in theirs)
    runner_up, first = sorted(theirs.values())[-2:]
    tie = first - runner_up <= TOLERANCE
    if not largest <= TOLERANCE or (answer.get("prediction") != expected["prediction"] and not tie):
        raise WrongAnswer(f"{answer} is not {expected}")
    return float(largest)


def check_all(
    url: str, bodies: Sequence[bytes], expected: list[dict[str, Any]], content_type: str = "application/json"
) -> float:
    """Ask with every body once; the value is the largest difference."""
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
    """Compare bodies that were taken while the times were."""
    return max((difference(json.loads(body), expected[position]) for position, body in samples), default=0.0)
