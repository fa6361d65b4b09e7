"""Errors of monitoring.

FastmarError
└── MonitorError              the data can't be compared with the reference
    ├── NoProfile                 the archive has no reference profile
    ├── NoLiveData                there are no records of this model
    ├── OtherReference            the live data were counted for another reference
    ├── SeriesUnreadable          metrics can't be read
    ├── NoTimes                   the data has no times, so that it can't be split into periods
    ├── SourceUnknown             there is no source for this kind of data
    ├── TruthUnreadable           a table with the truth can't be read
    ├── NoTruths                  no row has a truth that can be compared
    └── FeedbackUnsupported       the answers of the model can't be compared with a truth
"""

from __future__ import annotations

from fastmar_contract.errors import FastmarError


class MonitorError(FastmarError):
    """The data can't be compared with the reference."""

    code = "monitor_error"


class NoProfile(MonitorError):
    """The archive has no reference profile."""

    code = "no_profile"


class NoLiveData(MonitorError):
    """There are no records of this model in the data."""

    code = "no_live_data"


class OtherReference(MonitorError):
    """The live data were counted for another reference."""

    code = "other_reference"


class SeriesUnreadable(MonitorError):
    """Metrics can't be read."""

    code = "series_unreadable"


class NoTimes(MonitorError):
    """The data has no times, so that it can't be split into periods."""

    code = "no_times"


class SourceUnknown(MonitorError):
    """There is no source for this kind of data."""

    code = "source_unknown"


class TruthUnreadable(MonitorError):
    """A table with the truth can't be read, or lacks a column."""

    code = "truth_unreadable"


class NoTruths(MonitorError):
    """No row has a truth that can be compared with an answer."""

    code = "no_truths"


class FeedbackUnsupported(MonitorError):
    """The answers of the model can't be compared with a truth."""

    code = "feedback_unsupported"
