"""The shadow comparison: send the same requests to two versions, and count how their answers differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from fastmar_client import Client
from fastmar_contract.agreement import TOLERANCE, Answer, answers_agree, difference, is_mask, prediction_changed
from fastmar_contract.summary import describe_prediction
from fastmar_serving.rollout.requests import Request, send_request

MAX_EXAMPLES = 3  # of changed predictions
MAX_LABELS = 3  # in a prediction that is counted in `changes`; longer lists are unreadable


def mask_difference(ours: str, theirs: str) -> float | None:
    """`fastmar_runtime.masks.mask_difference`, imported only if there are masks."""
    from fastmar_runtime import masks  # noqa: PLC0415

    return masks.mask_difference(ours, theirs)


@dataclass
class Shadow:
    """How the answers of two versions differ.

    Attributes:
        old: the default version.
        new: the candidate.
        source: origin of the requests, for messages.
        tolerance: relative difference above which a predicted number, or a coordinate of a point, counts as changed.
        answers: number of compared records.
        predicted: records that the old version answers without an error.
        answered: records that both versions answer without an error.
        same: records whose answers are the same, including warnings.
        changed: records of `answered` whose prediction differs.
        newly_failing: records that only the old version answers.
        newly_answered: records that only the new version answers.
        errors_before: count of each error code of the old version.
        errors_after: count of each error code of the new version.
        new_error_codes: count of each error code among the records of `newly_failing`.
        is_probability: whether `differences` are differences of probabilities.
        has_numbers: whether `differences` are differences of predicted numbers, to which `tolerance` applies.
        changes: count of each change from one label, or set of labels, to another.
        differences: the largest difference of a number in each pair of numeric answers.
        errors: count of each new error, by code and message.
        warnings: count of each new warning, by field and code.
        examples: the first changed or newly failing records: where, from, to.
    """

    old: str
    new: str
    source: str
    tolerance: float = TOLERANCE
    answers: int = 0
    predicted: int = 0
    answered: int = 0
    same: int = 0
    changed: int = 0
    newly_failing: int = 0
    newly_answered: int = 0
    errors_before: Counter[str] = field(default_factory=Counter)
    errors_after: Counter[str] = field(default_factory=Counter)
    new_error_codes: Counter[str] = field(default_factory=Counter)
    is_probability: bool = False
    has_numbers: bool = False
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    differences: list[float] = field(default_factory=list)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    warnings: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def share_changed(self) -> float:
        """Share of the old version's predictions that the new version changes or answers with an error."""
        return (self.changed + self.newly_failing) / self.predicted if self.predicted else 0.0

    def add(self, where: str, before: Answer, after: Answer) -> None:
        """Count one pair of answers."""
        self.answers += 1
        self.predicted += "error" not in before
        self.same += answers_agree(after, before, {}, mask_difference)
        if "error" in before:
            self.errors_before[_error(before)[0]] += 1
        if "error" in after:
            self.errors_after[_error(after)[0]] += 1
            if "error" not in before:
                self.newly_failing += 1
                self.new_error_codes[_error(after)[0]] += 1
                self.errors[_error(after)] += 1
                self._example(where, before, after)
            return
        if "error" in before:
            self.newly_answered += 1
            return
        self.answered += 1
        if prediction_changed(before, after, mask_difference, self.tolerance):
            self.changed += 1
            self._example(where, before, after)
            if _is_countable(before) and _is_countable(after):
                self.changes[describe_prediction(before), describe_prediction(after)] += 1
        distance = difference(before, after, mask_difference)
        if distance is not None:
            self.differences.append(distance)
            self.is_probability = isinstance(before.get("probabilities"), dict)
            self.has_numbers = not self.is_probability and not is_mask(before)
        self.warnings.update(_warnings(after) - _warnings(before))

    def as_dict(self) -> dict[str, Any]:
        """The output of `--json`."""
        return {
            "old": self.old,
            "new": self.new,
            "source": self.source,
            "tolerance": self.tolerance,
            "answers": self.answers,
            "predicted": self.predicted,
            "answered_by_both": self.answered,
            "errors": {"before": dict(self.errors_before), "after": dict(self.errors_after)},
            "same": self.same,
            "changed": self.changed,
            "share_changed": self.share_changed,
            "changes": [{"from": a, "to": b, "count": n} for (a, b), n in self.changes.most_common()],
            "difference": {"largest": max(self.differences), "median": median(self.differences)}
            if self.differences
            else None,
            "new_errors": [{"code": a, "message": b, "count": n} for (a, b), n in self.errors.most_common()],
            "mended_errors": self.newly_answered,
            "new_warnings": [{"field": a, "code": b, "count": n} for (a, b), n in self.warnings.most_common()],
            "examples": [{"where": where, "from": a, "to": b} for where, a, b in self.examples],
        }

    def _example(self, where: str, before: Answer, after: Answer) -> None:
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append((where, _summary(before), _summary(after)))


def compare_versions(
    client: Client, name: str, shadow: Shadow, requests: Sequence[Request], show: Callable[[str], None]
) -> Shadow:
    """Send each request to both versions and fill `shadow`. Sequential, to keep the load on the server low.

    Raises:
        ClientError: the server can't be reached, or rejects the key.
    """
    for number, request in enumerate(requests, start=1):
        show(f"Comparing {shadow.old} and {shadow.new}: request {number} of {len(requests)}")
        before = send_request(client, name, shadow.old, request)
        after = send_request(client, name, shadow.new, request)
        if len(before) == len(after):
            for one, other in zip(before, after, strict=True):
                shadow.add(request.where, one, other)
        else:  # a request with several records, which one version refused as a whole
            shadow.add(request.where, before[0] if len(before) == 1 else {}, after[0] if len(after) == 1 else {})
    return shadow


def _summary(answer: Answer) -> str:
    if "error" in answer:
        return "error {}: {}".format(*_error(answer))
    if "prediction" not in answer:
        return str(answer)[:200]
    text = describe_prediction(answer)
    probability = answer.get("probabilities", {}).get(answer["prediction"]) if "index" in answer else None
    return text if probability is None else f"{text} ({probability:.1%})"


def _error(answer: Answer) -> tuple[str, str]:
    error = answer["error"]
    return (str(error.get("code")), str(error.get("message"))) if isinstance(error, dict) else ("", str(error))


def _is_countable(answer: Answer) -> bool:
    value = answer.get("prediction")
    return isinstance(value, str) or (
        isinstance(value, list) and len(value) <= MAX_LABELS and all(isinstance(label, str) for label in value)
    )


def _warnings(answer: Answer) -> Counter[tuple[str, str]]:
    return Counter((str(w.get("field")), str(w.get("code"))) for w in answer.get("warnings", []))
