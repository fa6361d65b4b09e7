"""The metrics of a server become the profile of the records that its workers answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastmar_contract.errors import FastmarError
from fastmar_contract.profiles import COUNTS, ROWS, SHARES
from fastmar_monitor.drift import Drift, measure
from fastmar_monitor.verdicts import DRIFT, NONE, NOT_ENOUGH_DATA
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles import reporting
from fastmar_runtime.profiles.counting import Counter
from fastmar_runtime.profiles.reporting import Reporter, reference_of
from fastmar_serving.asgi.metrics import Metrics
from tests.monitor import samples

REFUSED = "fastmar_refused_total"
Worker = Callable[[Sequence[Any]], None]


class Service:
    """The metrics of a server, and workers whose changes they add up."""

    def __init__(self, archive: Path, stack: ExitStack) -> None:
        self.metrics = Metrics()
        port = stack.enter_context(self.metrics.serve("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{port}"
        self._archive = archive
        self._stack = stack

    def worker(self, **model: Any) -> Worker:
        """A worker with the model of the archive; `model` are other members of its spec."""
        predictor = Predictor.open(self._archive)
        spec = replace(predictor.spec, **model)
        reference = reference_of(predictor)
        assert reference is not None
        declared: Any = {name: SimpleNamespace(add_or_update=self._adder(name)) for name in (ROWS, COUNTS, SHARES)}
        reporter = Reporter(reference, (spec.name, spec.version), declared, "0", period=3600.0)
        self._stack.callback(reporter.close)

        def answer(records: Sequence[Any]) -> None:
            reporter.answered(predictor.predict(list(records), reporter.prepared))
            reporter.report()

        return answer

    def _adder(self, name: str) -> Callable[[float, list[str]], None]:
        return lambda value, labels: self.metrics.add([(name, labels, value)])


@contextmanager
def running(archive: Path) -> Iterator[Service]:
    with ExitStack() as stack:
        yield Service(archive, stack)


@pytest.fixture
def service(archive: Path) -> Iterator[Service]:
    with running(archive) as found:
        yield found


def counted(archive: Path, records: list[Any]) -> Any:
    """The profile of the records, counted here."""
    predictor = Predictor.open(archive)
    reference = reference_of(predictor)
    assert reference is not None
    counter = Counter(reference.profile.variables)
    counter.answered(predictor.predict(records, counter.prepared))
    return counter.take().as_dict()


def code(archive: Path, data: str, **options: Any) -> str:
    with pytest.raises(FastmarError) as caught:
        measure(archive, data, **options)
    return str(caught.value.code)  # type: ignore[attr-defined]


def counts(drift: Drift) -> Any:
    return drift.live.profile.as_dict()


def test_the_counts_of_all_workers_add_up(archive: Path, service: Service) -> None:
    first, second, other = service.worker(), service.worker(), service.worker(version="2.0")
    records = samples.records(600, 1, new=0.2)
    first(records[:250])
    second(records[250:])
    other(samples.records(300, 2, shift=3.0))
    seen: list[int] = []
    found = measure(archive, service.url, on_progress=seen.append)
    assert counts(found) == counted(archive, records)
    assert (found.comparison.verdict, found.live.notices, seen) == (DRIFT, (), [600])
    assert counts(measure(archive, f"{service.url}/metrics")) == counts(found)


def test_no_change_is_no_drift(archive: Path, service: Service) -> None:
    service.worker()(samples.records(5000, 3))
    assert measure(archive, service.url).comparison.verdict == NONE


def test_fields_without_metrics_are_reported(archive: Path, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = Predictor.open(archive).spec.fields
    monkeypatch.setattr(reporting, "MAX_SERIES", 20)
    service.worker()(samples.records(600, 1))
    found = measure(archive, service.url)
    [notice] = found.live.notices
    verdicts = {each.variable.name: each.verdict for each in found.comparison.fields}
    left_out = {name for name in verdicts if f"field.{name}" in notice}
    assert 0 < len(left_out) < len(variables)
    assert {name for name, verdict in verdicts.items() if verdict == NOT_ENOUGH_DATA} == left_out
    assert "confidence" in notice
    assert found.comparison.verdict == NONE


def test_errors(archive: Path, service: Service, tmp_path: Path) -> None:
    assert code(archive, service.url) == "no_live_data"  # no model
    service.worker(version="2.0")(samples.records(10, 1))
    with pytest.raises(FastmarError, match=r"it has tiny 2\.0"):
        measure(archive, service.url)
    answer = service.worker()
    assert code(archive, service.url) == "no_live_data"  # no records
    answer(samples.records(600, 1))
    assert code(archive, service.url, by="day") == "no_times"
    assert code(archive, service.url, since=datetime.now(UTC)) == "no_times"
    another = samples.archive(tmp_path / "another")
    samples.add_profile(another, Predictor.open(another), samples.records(samples.ROWS, 99))
    assert code(another, service.url) == "other_reference"
    service.metrics.add([(ROWS, ["tiny", "1.0"], float("nan"))])
    assert code(archive, service.url) == "series_unreadable"


def test_no_server(archive: Path) -> None:
    with running(archive) as stopped:
        url = stopped.url
    assert code(archive, url) == "server_unreachable"


def test_refused_records_of_the_model_are_reported(archive: Path, service: Service) -> None:
    service.worker()(samples.records(300, 1))
    for version, codes in (("1.0", {"missing_column": 30, "not_a_number": 10}), ("2.0", {"missing_column": 99})):
        service.metrics.add([(REFUSED, ["tiny", version, code], count) for code, count in codes.items()])
    live = measure(archive, service.url).live
    assert live.refused == 40
    assert "refused 40 of 340 records (11.8%)" in live.notices[0]
