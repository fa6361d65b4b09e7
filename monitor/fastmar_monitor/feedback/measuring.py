"""Measures the answers of a log by period, and decides whether they became worse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fastmar_monitor.errors import NoLiveData
from fastmar_monitor.feedback.answer_log import Logged, read_answers
from fastmar_monitor.feedback.calibration import Estimate
from fastmar_monitor.feedback.intervals import rounded
from fastmar_monitor.feedback.joining import WEEK, Answers, Joined, join
from fastmar_monitor.feedback.kinds import AnswerKind, Scores, kind_for
from fastmar_monitor.feedback.truths import EXAMPLES, Truths, listed, read_truths
from fastmar_runtime.bundle import BundleFiles
from fastmar_runtime.checks import read_spec

STEADY, FELL, NOT_ENOUGH_TRUTHS = "steady", "fell", "not_enough_truths"

MIN_TRUTHS = 100  # of a period, so that it is compared
ALPHA = 0.01  # probability of the verdict `FELL` by chance
MIN_GROWTH = 0.05  # of the mean loss, relative; with many records, the test finds much smaller changes

_PROGRESS = 10_000  # records between two calls of `on_progress`


@dataclass(frozen=True, slots=True)
class Period:
    """The answers of a period.

    Attributes:
        start: the start in UTC; for all answers together, the start of the first period.
        with_truth, without_truth: numbers of answers.
        refused: number of records that the model refused.
        measured: the figures of the answers with a truth; None if there are none.
        estimate: the estimate for the answers without truth; None if there are none, or if they have no confidences.
    """

    start: datetime
    with_truth: int
    without_truth: int
    refused: int
    measured: Scores | None
    estimate: Estimate | None

    @property
    def answered(self) -> int:
        """The number of answers."""
        return self.with_truth + self.without_truth

    def as_dict(self) -> dict[str, Any]:
        """A JSON object."""
        return {
            "start": self.start.isoformat(),
            "answered": self.answered,
            "refused": self.refused,
            "with_truth": self.with_truth,
            "without_truth": self.without_truth,
            "measured": self.measured.as_dict() if self.measured else None,
            "estimate_without_truth": self.estimate.as_dict() if self.estimate else None,
        }


@dataclass(frozen=True, slots=True)
class Change:
    """The change of the mean loss from the first period with enough truths to the last one.

    Attributes:
        first, last: the periods.
        before, after: their mean losses.
        p_value: the p-value of the one-sided test that the mean loss did not grow.
    """

    first: Period
    last: Period
    before: float
    after: float
    p_value: float

    @property
    def is_worse(self) -> bool:
        """Whether the answers became worse, by more than chance explains and by more than a little."""
        return self.p_value < ALPHA and self.after > self.before * (1 + MIN_GROWTH)


@dataclass(frozen=True, slots=True)
class Feedback:
    """What was measured of a model.

    Attributes:
        model, version: the model and the version of the archive.
        loss: name of the mean loss that the verdict compares.
        by: length of the periods.
        all: all answers.
        periods: the earliest first.
        change: None if fewer than two periods have `MIN_TRUTHS`.
        truths, joined: what was read.
        unknown_labels: labels of truths that the model does not know, the most frequent first.
    """

    model: str
    version: str
    loss: str
    by: str
    all: Period
    periods: tuple[Period, ...]
    change: Change | None
    truths: Truths
    joined: Joined
    unknown_labels: tuple[tuple[str, int], ...]

    @property
    def verdict(self) -> str:
        """`STEADY`, `FELL` or `NOT_ENOUGH_TRUTHS`."""
        return NOT_ENOUGH_TRUTHS if self.change is None else FELL if self.change.is_worse else STEADY

    def as_dict(self) -> dict[str, Any]:
        """A JSON object."""
        measured, calibration = self.all.measured, self.all.measured and self.all.measured.calibration
        truths, joined, change = self.truths, self.joined, self.change
        return {
            "model": self.model,
            "version": self.version,
            "verdict": self.verdict,
            "change": change
            and {
                "loss": self.loss,
                "first": change.first.start.isoformat(),
                "last": change.last.start.isoformat(),
                "before": rounded(change.before),
                "after": rounded(change.after),
                "p_value": change.p_value,
            },
            **{name: value for name, value in self.all.as_dict().items() if name != "start"},
            "by": self.by,
            "periods": [each.as_dict() for each in self.periods],
            "reliability": [each.as_dict() for each in calibration.bins] if calibration else None,
            "detail": measured.detail if measured else {},
            "truths": {
                "rows": truths.rows,
                "joined": self.all.with_truth,
                "empty": truths.empty,
                "repeated": truths.repeated,
                "conflicting": truths.conflicting,
                "invalid": truths.invalid,
                "unknown_ids": joined.unknown,
                "unknown_labels": sum(count for _, count in self.unknown_labels),
                "median_delay_seconds": joined.delay and joined.delay.total_seconds(),
            },
            "log": {
                "repeated": joined.repeated,
                "ambiguous": joined.ambiguous,
                "unreadable": joined.unreadable,
                "without_prediction": joined.without_prediction,
                "other_versions": dict(joined.others),
            },
            "notices": list(self.notices()),
        }

    def notices(self) -> Iterator[str]:
        """What the reader of the figures should know, as sentences."""
        truths, joined = self.truths, self.joined
        if truths.repeated:
            yield f"{truths.repeated:,} truths are repeated; each counts once."
        if truths.conflicting:
            yield f"{truths.conflicting:,} truths contradict an earlier row of the same record; the last row is used."
        if joined.unknown:
            named = listed(map(repr, joined.unknown_examples), joined.unknown)
            yield f"{joined.unknown:,} truths have a request id or row that the log does not have: {named}."
        if truths.invalid:
            yield f"{truths.invalid:,} rows can't be read as a truth: {listed(truths.examples, truths.invalid)}."
        if self.unknown_labels:
            named = listed((repr(label) for label, _ in self.unknown_labels[:EXAMPLES]), len(self.unknown_labels))
            count = sum(count for _, count in self.unknown_labels)
            yield f"{count:,} labels of truths are unknown to the model: {named}."
        if joined.ambiguous:
            yield f"{joined.ambiguous:,} records are left out: several answers have the same request id and row."
        if joined.unreadable:
            yield f"{joined.unreadable:,} lines of the log can't be read."
        if joined.without_prediction:
            yield f"{joined.without_prediction:,} answers have no prediction, and are left out."
        for version, count in sorted(joined.others.items()):
            yield f"{count:,} records of {self.model} {version} are left out."
        if joined.delay is not None:
            yield f"The median delay of the truths is {_duration(joined.delay.total_seconds())}."


def measure(
    archive: Path,
    log: str,
    truths: Sequence[str],
    *,
    columns: Sequence[str] = (),
    by: str = WEEK,
    since: datetime | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Feedback:
    """Measure the logged answers of a model.

    Nothing is stored: each call reads and joins everything again.

    Args:
        archive: the archive of the model.
        log: folder, file or URL of a request log.
        truths: tables with the column `request_id`, optionally `row` (of the record in its request, from 0) and
            `time` (when the truth became known).
        columns: the columns with the truth; by default those with the name of the target.
        by: length of the periods, one of `PERIODS`.
        since: only answers since then.
        on_progress: called with the number of answers so far.

    Raises:
        FeedbackUnsupported: the kind of answer can't be compared with a truth.
        NoLiveData: the log has no records of the model.
        FastmarError: the archive, the log or a table can't be read.
    """
    spec = read_spec(BundleFiles(archive))
    kind = kind_for(spec)
    found = read_truths(truths, kind, kind.check_columns(columns))
    joined = join(_counted(read_answers(log), on_progress), found, kind, by, since)
    if not joined.periods:
        others = ", ".join(sorted(joined.others))
        raise NoLiveData(
            f"{log} has no records of {spec.name} {spec.version}"
            f"{' since ' + since.isoformat() if since else ''}{'; it has versions ' + others if others else ''}.",
            fix="pass the folder of the request log, and the archive that was served.",
        )
    return summarize(joined, found, kind, by)


def summarize(joined: Joined, truths: Truths, kind: AnswerKind, by: str) -> Feedback:
    """The figures of joined answers."""
    starts, groups = zip(*joined.periods.items(), strict=True)
    everything = sum(groups[1:], start=groups[0])
    scores = _score(everything, kind)
    whole = _period(starts[0], everything, kind, scores, scores)
    periods = tuple(_period(start, group, kind, _score(group, kind), scores) for start, group in joined.periods.items())
    unknown = tuple(kind.unknown.most_common())
    spec = kind.spec
    return Feedback(
        spec.name, spec.version, kind.loss, by, whole, periods, _change(periods, kind), truths, joined, unknown
    )


def _score(answers: Answers, kind: AnswerKind) -> Scores | None:
    return kind.score(answers.with_truth, answers.truths) if len(answers.with_truth) else None


def _period(
    start: datetime, answers: Answers, kind: AnswerKind, scores: Scores | None, everything: Scores | None
) -> Period:
    """A period; its estimate uses the calibration of all answers with truth."""
    estimate = None
    if len(answers.without_truth) and (confidences := kind.confidences(answers.without_truth)) is not None:
        calibration = everything.calibration if everything else None
        estimate = calibration.estimate(confidences) if calibration else Estimate(float(confidences.mean()), 0.0)
    sizes = len(answers.with_truth), len(answers.without_truth)
    return Period(start, *sizes, answers.refused, scores, estimate)


def _change(periods: Sequence[Period], kind: AnswerKind) -> Change | None:
    enough = [each for each in periods if each.measured and each.with_truth >= MIN_TRUTHS]
    if len(enough) < 2:
        return None
    first, last = enough[0], enough[-1]
    before, after = (each.measured.losses for each in (first, last) if each.measured)
    return Change(first, last, float(before.mean()), float(after.mean()), kind.p_value(before, after))


def _counted(log: Iterator[Logged | None], on_progress: Callable[[int], None]) -> Iterator[Logged | None]:
    for number, line in enumerate(log, start=1):
        if number % _PROGRESS == 0:
            on_progress(number)
        yield line


def _duration(seconds: float) -> str:
    """A duration in its largest unit, from seconds to days."""
    for size, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if abs(seconds) >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"
