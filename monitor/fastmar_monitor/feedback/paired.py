"""Compares the answers of two models to the same records by their truths."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastmar_monitor.errors import FeedbackUnsupported, NoTruths
from fastmar_monitor.feedback.intervals import Figure, Numbers, jackknife, rounded
from fastmar_monitor.feedback.kinds import AnswerKind, Scores
from fastmar_monitor.feedback.truths import EXAMPLES, listed

BETTER, WORSE, NO_DIFFERENCE = "better", "worse", "no_difference"
ALPHA = 0.05  # probability of a verdict other than `NO_DIFFERENCE` by chance

BOTH_RIGHT, ONLY_OLD, ONLY_NEW, BOTH_WRONG = "both_right", "only_old_right", "only_new_right", "both_wrong"
OLD_CLOSER, NEW_CLOSER, EQUALLY_CLOSE = "old_closer", "new_closer", "equally_close"

MAX_CHANGES = 1000  # kinds of changed answers, the most frequent ones
MAX_LENGTH = 120  # of a list of labels in a message

Answer = dict[str, Any]
_Named = tuple[str | None, str | None, str | None]  # truth, answer of the old and of the new model; None if unknown


@dataclass(frozen=True, slots=True)
class FigureChange:
    """A figure of both models, and the difference new - old with its interval."""

    old: float
    new: float
    difference: Figure

    def as_dict(self) -> dict[str, Any]:
        """A JSON object."""
        return {"old": rounded(self.old), "new": rounded(self.new), "difference": self.difference.as_dict()}


@dataclass(frozen=True, slots=True)
class Comparison:
    """The answers of two models to the same records.

    Attributes:
        rows: number of rows that were read.
        compared: number of rows with a truth and an answer of both models; all figures are about these rows.
        without_truth: rows whose truth is missing.
        invalid: rows whose truth can't be read.
        refused_by_old, refused_by_new: rows that the model refuses, by its error's code.
        loss: name of the mean loss that the verdict compares.
        losses: the mean loss of the old and of the new model.
        p_value: the p-value of the two-sided test that the mean losses are equal.
        figures: the figures by name.
        outcomes: numbers of compared rows: which model is right, or closer to the truth.
        labels: the rows of each true label by outcome; the label with the most differences first. Empty if answers
            are not labels.
        changes: numbers of rows by truth, answer of the old model, and another answer of the new one.
        unknown: the labels of truths that each model does not know.
        left_out: figures that are not comparable because only one model knows some labels.
    """

    rows: int
    compared: int
    without_truth: int
    invalid: int
    refused_by_old: dict[str, int]
    refused_by_new: dict[str, int]
    loss: str
    losses: tuple[float, float]
    p_value: float
    figures: dict[str, FigureChange]
    outcomes: dict[str, int]
    labels: list[dict[str, Any]]
    changes: list[dict[str, Any]]
    unknown: tuple[dict[str, int], dict[str, int]]
    left_out: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """`BETTER`, `WORSE` or `NO_DIFFERENCE`, of the new model."""
        if self.p_value >= ALPHA:
            return NO_DIFFERENCE
        return WORSE if self.losses[1] > self.losses[0] else BETTER

    def as_dict(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "verdict": self.verdict,
            "loss": {"name": self.loss, "old": rounded(self.losses[0]), "new": rounded(self.losses[1])},
            "p_value": self.p_value,
            "rows": self.rows,
            "compared": self.compared,
            "without_label": self.without_truth,
            "unreadable_label": self.invalid,
            "refused": {"old": self.refused_by_old, "new": self.refused_by_new},
            "figures": {name: figure.as_dict() for name, figure in self.figures.items()},
            "outcomes": self.outcomes,
            "labels": self.labels,
            "changes": self.changes,
            "notices": list(self.notices()),
        }

    def notices(self) -> Iterator[str]:
        """What the reader of the figures should know, as sentences."""
        if self.without_truth:
            yield f"Rows without a label, left out: {self.without_truth:,}."
        if self.invalid:
            yield f"Rows whose label can't be read, left out: {self.invalid:,}."
        for which, refused in (("old", self.refused_by_old), ("new", self.refused_by_new)):
            if refused:
                codes = ", ".join(f"{code}: {count:,}" for code, count in refused.items())
                yield f"Rows that the {which} archive refuses, left out: {sum(refused.values()):,} ({codes})."
        for which, unknown in zip(("old", "new"), self.unknown, strict=True):
            if unknown:
                named = listed(map(repr, list(unknown)[:EXAMPLES]), len(unknown))
                yield f"Rows with a label that the {which} archive does not know: {sum(unknown.values()):,} ({named})."
        if self.left_out:
            names = ", ".join(name.replace("_", " ") for name in self.left_out)
            yield f"Not compared, because the archives know different labels of the table: {names}."


class Pairs:
    """Collects the answers of two models, and compares them."""

    def __init__(self, old: AnswerKind, new: AnswerKind) -> None:
        """Compare two models.

        Raises:
            FeedbackUnsupported: their answers are not comparable.
        """
        if old.form != new.form:
            first, second = (f"{each.spec.name} {each.spec.version}" for each in (old, new))
            raise FeedbackUnsupported(
                f"{first} answers with {_short(old.form)}, and {second} with {_short(new.form)}.",
                fix="compare archives with the same kind of answer.",
                code="answers_of_two_kinds",
            )
        self._old, self._new = _Side(old), _Side(new)
        self._rows = self._empty = self._invalid = 0

    def add(self, old_truth: Sequence[Any] | None, new_truth: Sequence[Any] | None, old: Answer, new: Answer) -> None:
        """Add the answers to a record.

        Args:
            old_truth: the values of the old model's columns with the truth; None for a row that can't be read.
            new_truth: the values of the new model's columns with the truth; None for a row that can't be read.
            old: the old model's answer.
            new: the new model's answer.
        """
        self._rows += 1
        try:
            if old_truth is None or new_truth is None:
                raise ValueError("an unreadable row")
            found = self._old.kind.truth(old_truth), self._new.kind.truth(new_truth)
        except (KeyError, TypeError, ValueError):
            self._invalid += 1
            return
        if found[0] is None or found[1] is None:
            self._empty += 1
            return
        for side, answer in ((self._old, old), (self._new, new)):
            if "error" in answer:
                side.refused[str(answer["error"]["code"])] += 1
        if "error" not in old and "error" not in new:
            self._old.add(old, found[0])
            self._new.add(new, found[1])

    def compare(self) -> Comparison:
        """The comparison of all added answers.

        Raises:
            NoTruths: there is no record with a truth that both models answer.
        """
        old, new = self._old, self._new
        if not old.size:
            raise NoTruths(
                f"none of the {self._rows:,} rows has a label that can be compared: {self._empty:,} have none, "
                f"{self._invalid:,} can't be read, the old archive refuses {old.refused.total():,}, and the new one "
                f"{new.refused.total():,}.",
                fix="check the column of the labels, and run `fastmar predict` on a row of the table.",
            )
        numbers, kind = (old.numbers(), new.numbers()), new.kind
        before, after = old.kind.score(*numbers[0]), kind.score(*numbers[1])
        names = [name for name in before.figures if name in after.figures]
        left_out = tuple(n for n in names if n in kind.of_known_labels and old.kind.unknown != kind.unknown)
        names = [name for name in names if name not in left_out]

        def differences(chosen: Any) -> list[float]:
            values = [
                _values(side.kind.score(answers[chosen], truths[chosen]), names)
                for side, (answers, truths) in zip((old, new), numbers, strict=True)
            ]
            return [b - a for a, b in zip(*values, strict=True)]

        found = zip(names, _values(before, names), _values(after, names), strict=True)
        changes = jackknife(differences, old.size)
        named = _named(old.kind, numbers[0], kind, numbers[1]) if kind.has_labels else []
        return Comparison(
            rows=self._rows,
            compared=old.size,
            without_truth=self._empty,
            invalid=self._invalid,
            refused_by_old=dict(old.refused.most_common()),
            refused_by_new=dict(new.refused.most_common()),
            loss=kind.loss,
            losses=(float(before.losses.mean()), float(after.losses.mean())),
            p_value=kind.paired_p_value(before.losses, after.losses),
            figures={name: FigureChange(a, b, change) for (name, a, b), change in zip(found, changes, strict=True)},
            outcomes=dict(zip(_outcome_names(kind), _outcomes(kind, before.losses, after.losses), strict=True)),
            labels=_by_label(kind, named, before.losses, after.losses),
            changes=_changes(named),
            unknown=(dict(old.kind.unknown.most_common()), dict(kind.unknown.most_common())),
            left_out=left_out,
        )


class _Side:
    """A model's numbers."""

    def __init__(self, kind: AnswerKind) -> None:
        self.kind = kind
        self.refused: Counter[str] = Counter()
        self.size = 0
        self._answers, self._truths = array("d"), array("d")

    def add(self, answer: Answer, truth: Sequence[float]) -> None:
        self._answers.extend(self.kind.answer(answer))
        self._truths.extend(truth)
        self.size += 1

    def numbers(self) -> tuple[Numbers, Numbers]:
        """Answers and truths, [records, ...]."""
        answers, truths = (np.array(each).reshape(self.size, -1) for each in (self._answers, self._truths))
        return answers, truths


def _named(
    old: AnswerKind, old_numbers: tuple[Numbers, Numbers], new: AnswerKind, new_numbers: tuple[Numbers, Numbers]
) -> list[_Named]:
    """The labels of each record."""
    (olds, old_truths), (news, new_truths) = old_numbers, new_numbers
    rows = zip(old_truths[:, 0], new_truths[:, 0], olds[:, 0], news[:, 0], strict=True)
    return [
        (truth if (truth := new.label(b)) is not None else old.label(a), old.label(c), new.label(d))
        for a, b, c, d in rows
    ]


def _short(text: str) -> str:
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}..."


def _values(scores: Scores, names: Sequence[str]) -> list[float]:
    return [scores.figures[name].value for name in names]


def _outcome_names(kind: AnswerKind) -> tuple[str, ...]:
    if kind.has_right_answers:
        return BOTH_RIGHT, ONLY_OLD, ONLY_NEW, BOTH_WRONG
    return OLD_CLOSER, NEW_CLOSER, EQUALLY_CLOSE


def _outcomes(kind: AnswerKind, before: Numbers, after: Numbers) -> list[int]:
    if kind.has_right_answers:
        old, new = before == 0, after == 0
        groups = [old & new, old & ~new, ~old & new, ~old & ~new]
    else:
        groups = [before < after, after < before, before == after]
    return [int(group.sum()) for group in groups]


def _by_label(kind: AnswerKind, named: list[_Named], before: Numbers, after: Numbers) -> list[dict[str, Any]]:
    names = _outcome_names(kind)
    rows: dict[str | None, list[int]] = {}
    for at, (truth, _, _) in enumerate(named):
        rows.setdefault(truth, []).append(at)
    found = []
    for label, places in rows.items():
        outcomes = dict(zip(names, _outcomes(kind, before[places], after[places]), strict=True))
        found.append({"label": label, "rows": len(places), **outcomes})
    return sorted(found, key=lambda row: (-row[ONLY_OLD] - row[ONLY_NEW], -row["rows"]))


def _changes(named: list[_Named]) -> list[dict[str, Any]]:
    counts = Counter((truth, old, new) for truth, old, new in named if old != new)
    return [
        {"truth": truth, "old": old, "new": new, "rows": rows}
        for (truth, old, new), rows in counts.most_common(MAX_CHANGES)
    ]
