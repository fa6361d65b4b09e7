"""A sample of requests, asked of two versions: how their answers differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from fastmar_client import Client
from fastmar_contract.agreement import Answer, answers_agree, difference, prediction_changed
from fastmar_contract.summary import describe_prediction
from fastmar_serving.rollout.asking import Asked, ask

EXAMPLES = 3  # of changed predictions that are written out
MOST_LABELS = 3  # in a prediction that is counted by what it was and became; more are too many to read


def mask_difference(ours: str, theirs: str) -> float | None:
    """See `fastmar_runtime.masks`, which is imported where there are masks."""
    from fastmar_runtime import masks  # noqa: PLC0415

    return masks.mask_difference(ours, theirs)


@dataclass
class Shadow:
    """How the answers of two versions differ.

    Attributes:
        old: the default version.
        new: the version that is to become the default.
        source: where the requests come from.
        answers: how many records were compared.
        predicted: records that the old version answers without an error.
        answered: records that both versions answer without an error.
        same: records whose answers agree in everything, warnings included.
        changed: records of `answered` whose prediction differs.
        broken: records that only the old version answers.
        mended: records that only the new version answers.
        errors_before: how often the old version answers each error code.
        errors_after: the same of the new version.
        new_error_codes: the codes of the new version's errors to the records of `broken`.
        is_probability: whether `differences` are differences of probabilities.
        changes: how often one label, or one set of labels, became another.
        differences: for each pair of answers that have numbers, the largest difference of one.
        errors: code and message of each new error, how often.
        warnings: field and code of each new warning, how often.
        examples: the first changed or broken ones: where, from, to.
    """

    old: str
    new: str
    source: str
    answers: int = 0
    predicted: int = 0
    answered: int = 0
    same: int = 0
    changed: int = 0
    broken: int = 0
    mended: int = 0
    errors_before: Counter[str] = field(default_factory=Counter)
    errors_after: Counter[str] = field(default_factory=Counter)
    new_error_codes: Counter[str] = field(default_factory=Counter)
    is_probability: bool = False
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    differences: list[float] = field(default_factory=list)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    warnings: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def share_changed(self) -> float:
        """Share of the old version's predictions that are something else, or an error, in the new one; 0 of none."""
        return (self.changed + self.broken) / self.predicted if self.predicted else 0.0

    def add(self, where: str, before: Answer, after: Answer) -> None:
        """Take note of one pair."""
        self.answers += 1
        self.predicted += "error" not in before
        self.same += answers_agree(after, before, {}, mask_difference)
        if "error" in before:
            self.errors_before[_error(before)[0]] += 1
        if "error" in after:
            self.errors_after[_error(after)[0]] += 1
            if "error" not in before:
                self.broken += 1
                self.new_error_codes[_error(after)[0]] += 1
                self.errors[_error(after)] += 1
                self._example(where, before, after)
            return
        if "error" in before:
            self.mended += 1
            return
        self.answered += 1
        if prediction_changed(before, after, mask_difference):
            self.changed += 1
            self._example(where, before, after)
            if _is_countable(before) and _is_countable(after):
                self.changes[describe_prediction(before), describe_prediction(after)] += 1
        apart = difference(before, after, mask_difference)
        if apart is not None:
            self.differences.append(apart)
            self.is_probability = isinstance(before.get("probabilities"), dict)
        self.warnings.update(_warnings(after) - _warnings(before))

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "old": self.old,
            "new": self.new,
            "source": self.source,
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
            "mended_errors": self.mended,
            "new_warnings": [{"field": a, "code": b, "count": n} for (a, b), n in self.warnings.most_common()],
            "examples": [{"where": where, "from": a, "to": b} for where, a, b in self.examples],
        }

    def _example(self, where: str, before: Answer, after: Answer) -> None:
        if len(self.examples) < EXAMPLES:
            self.examples.append((where, _shown(before), _shown(after)))


def compare_versions(
    client: Client, name: str, shadow: Shadow, requests: Sequence[Asked], show: Callable[[str], None]
) -> Shadow:
    """Ask both versions for each request, one after the other so that callers hardly notice; fills `shadow`.

    Raises:
        ClientError: the server can't be reached, or does not let us in.
    """
    for number, asked in enumerate(requests, start=1):
        show(f"Asking {shadow.old} and {shadow.new}: {number} of {len(requests)}")
        before = ask(client, name, shadow.old, asked)
        after = ask(client, name, shadow.new, asked)
        if len(before) == len(after):
            for one, other in zip(before, after, strict=True):
                shadow.add(asked.where, one, other)
        else:  # a request of several records, refused as a whole by one of the two
            shadow.add(asked.where, before[0] if len(before) == 1 else {}, after[0] if len(after) == 1 else {})
    return shadow


def _shown(answer: Answer) -> str:
    if "error" in answer:
        return "error {}: {}".format(*_error(answer))
    if "prediction" not in answer:
        return str(answer)[:200]
    told = describe_prediction(answer)
    likeliest = answer.get("probabilities", {}).get(answer["prediction"]) if "index" in answer else None
    return told if likeliest is None else f"{told} ({likeliest:.1%})"


def _error(answer: Answer) -> tuple[str, str]:
    error = answer["error"]
    return (str(error.get("code")), str(error.get("message"))) if isinstance(error, dict) else ("", str(error))


def _is_countable(answer: Answer) -> bool:
    value = answer.get("prediction")
    return isinstance(value, str) or (
        isinstance(value, list) and len(value) <= MOST_LABELS and all(isinstance(label, str) for label in value)
    )


def _warnings(answer: Answer) -> Counter[tuple[str, str]]:
    return Counter((str(w.get("field")), str(w.get("code"))) for w in answer.get("warnings", []))
