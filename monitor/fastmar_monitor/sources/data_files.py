"""Data files and folders: CSV, Parquet, JSON, pictures, texts. The model of the archive answers their records."""

from __future__ import annotations

from pathlib import Path

from fastmar_contract.urls import is_url
from fastmar_monitor.errors import NoLiveData, NoTimes
from fastmar_monitor.sources.live import Live, Query
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles.counting import Counter
from fastmar_runtime.profiles.records import record_batches

BATCH = 256  # records; pictures of full size are in memory meanwhile


def matches(data: str) -> bool:
    """Whether it is a path."""
    return not is_url(data)


def read(query: Query) -> Live:
    """See `read_live`."""
    if query.since is not None or query.by is not None:
        raise NoTimes(
            f"{query.data} has no times of the records.", fix="leave out --since and --by, or pass profile files."
        )
    predictor = Predictor.open(query.archive)
    counter = Counter(query.reference.profile.variables)
    done = refused = 0
    for records in record_batches(Path(query.data), query.spec, BATCH):
        answers = predictor.predict(records, counter.prepared)
        counter.answered(answers)
        done += len(records)
        refused += sum("error" in answer for answer in answers)
        query.on_progress(done)
    if done == refused:
        raise NoLiveData(
            f"the model refuses all {done:,} records of {query.data}." if done else f"{query.data} has no records.",
            fix=f"run `fastmar predict {query.archive} {query.data}` to see the reasons."
            if done
            else "pass data with records.",
        )
    return Live(counter.take(), refused=refused)
