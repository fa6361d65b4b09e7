"""A real Prometheus with three days of two servers' metrics: the counts, periods, and errors."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import requests

from fastmar_contract.errors import FastmarError
from fastmar_monitor.drift import measure
from fastmar_monitor.sources import prometheus, server
from fastmar_monitor.verdicts import DRIFT, NONE
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles.counting import Counter
from fastmar_runtime.profiles.profile import Profile, Reference, empty
from fastmar_runtime.profiles.reporting import label_names, reference_of, reference_share
from tests.docker.watched import Prometheus, needs
from tests.docker.watched import prometheus as running_prometheus
from tests.monitor import samples

STEP = timedelta(minutes=5)
RECORDS = 25  # of a server in a step
DAYS = 3
BATCHES = 40  # different ones
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
START = TODAY - timedelta(days=DAYS)
STEPS = DAYS * timedelta(days=1) // STEP
RESTART = STEPS // 2  # of one server


class History:
    """What the servers have answered."""

    def __init__(self, archive: Path) -> None:
        predictor = Predictor.open(archive)
        reference = reference_of(predictor)
        assert reference is not None
        self.reference: Reference = reference
        counter = Counter(reference.profile.variables)

        def profile(seed: int, new: float) -> Profile:
            counter.answered(predictor.predict(samples.records(RECORDS, seed, new=new), counter.prepared))
            return counter.take()

        self._batches = [[profile(seed, new) for seed in range(BATCHES)] for new in (0.0, 0.1)]

    def batch(self, host: int, step: int) -> Profile:
        """The profile of a server's records in a step; on the last day, a tenth has a new category."""
        return self._batches[step >= STEPS * (DAYS - 1) // DAYS][(step + 7 * host) % BATCHES]

    def total(self, steps: range) -> Profile:
        return sum((self.batch(host, step) for host in (0, 1) for step in steps), start=empty(self.variables))

    @property
    def variables(self) -> tuple[object, ...]:
        return self.reference.profile.variables

    def write(self, path: Path) -> None:
        """Write the metrics of each step in the OpenMetrics format; the first server restarts once."""
        reference = self.reference.profile
        names = label_names(reference.variables)
        shares, rows, values = [], [], []
        slots = [
            (at, slot, f'variable="{name}",slot="{key}"')
            for at, (name, variable) in enumerate(zip(names, reference.variables, strict=True))
            for slot, key in enumerate(variable.keys())
        ]
        for host in (0, 1):
            model = f'instance="{host}",model_name="tiny",model_version="1.0"'
            running = empty(reference.variables)
            for step in range(STEPS + 1):
                time = int((START + step * STEP).timestamp())
                if step:
                    running = running + self.batch(host, step - 1)
                if host == 0 and step == RESTART:
                    running = self.batch(host, step - 1)
                rows.append(f"fastmar_profile_rows_total{{{model}}} {running.rows} {time}")
                for at, slot, labels in slots:
                    values.append(f"fastmar_profile_values_total{{{model},{labels}}} {running.counts[at][slot]} {time}")
                    if step % 12 == 0:
                        share = reference_share(reference.counts[at], slot)
                        shares.append(f"fastmar_profile_reference_share{{{model},{labels}}} {share} {time}")
        lines = ["# TYPE fastmar_profile_rows counter", *rows, "# TYPE fastmar_profile_values counter", *values]
        lines += ["# TYPE fastmar_profile_reference_share gauge", *shares, "# EOF\n"]
        path.write_text("\n".join(lines))


@pytest.fixture(scope="module")
def history(archive: Path) -> History:
    return History(archive)


@pytest.fixture(scope="module")
def watching(history: History, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    history.write(folder / "history")
    command = [needs("promtool"), "tsdb", "create-blocks-from", "openmetrics", folder / "history", folder / "data"]
    subprocess.run(command, check=True, capture_output=True)
    with running_prometheus("127.0.0.1:9", folder) as running:
        yield running


def code(archive: Path, data: str, **options: object) -> str:
    with pytest.raises(FastmarError) as caught:
        measure(archive, data, **options)  # type: ignore[arg-type]
    return str(caught.value.code)  # type: ignore[attr-defined]


def is_near(estimate: Profile, exact: Profile) -> bool:
    """Whether the counts are right, except what Prometheus does not know: half a percent, or 5 records."""
    pairs = zip((np.array(estimate.rows), *estimate.counts), (np.array(exact.rows), *exact.counts), strict=True)
    return all(np.allclose(ours, theirs, rtol=0.005, atol=5) for ours, theirs in pairs)


def test_counts_since(archive: Path, watching: Prometheus, history: History) -> None:
    found = measure(archive, watching.url, since=START)
    assert is_near(found.live.profile, history.total(range(STEPS)))
    found = measure(archive, watching.url, since=TODAY - timedelta(days=1))
    assert is_near(found.live.profile, history.total(range(STEPS * 2 // 3, STEPS)))
    assert found.comparison.verdict == DRIFT
    assert found.comparison.fields[0].variable.name == "workclass"
    [notice] = found.live.notices
    assert f"{TODAY - timedelta(days=1):%Y-%m-%d}" in notice


@pytest.mark.parametrize(("by", "length"), [("day", timedelta(days=1)), ("hour", timedelta(hours=1))])
def test_periods(archive: Path, watching: Prometheus, history: History, by: str, length: timedelta) -> None:
    seen: list[int] = []
    found = measure(archive, watching.url, since=START + timedelta(minutes=20), by=by, on_progress=seen.append)
    steps = length // STEP
    assert [start for start, _ in found.live.periods] == [START + at * length for at in range(STEPS // steps)]
    for at, (_, profile) in enumerate(found.live.periods):
        assert is_near(profile, history.total(range(at * steps, (at + 1) * steps))), at
    verdicts = [each.verdict for _, each in found.periods]
    assert verdicts == [NONE] * (len(verdicts) * 2 // 3) + [DRIFT] * (len(verdicts) // 3)
    assert seen == [sum(profile.rows for _, profile in found.live.periods)]


def test_errors(archive: Path, watching: Prometheus, tmp_path: Path) -> None:
    assert code(archive, watching.url, since=datetime.now(UTC) + timedelta(hours=1)) == "no_live_data"
    assert code(archive, watching.url, since=datetime(2020, 1, 1, tzinfo=UTC), by="hour") == "prometheus_failed"
    another = samples.archive(tmp_path / "another")
    samples.add_profile(another, Predictor.open(another), samples.records(samples.ROWS, 99))
    assert code(another, watching.url, since=START) == "other_reference"
    spec = another / "spec.json"
    spec.write_text(spec.read_text().replace('"tiny"', '"other"'))
    with pytest.raises(FastmarError, match=r"it has tiny 1\.0"):
        measure(another, watching.url, since=START)


def test_a_server_is_not_prometheus(archive: Path, watching: Prometheus) -> None:
    assert prometheus.matches(watching.url)
    assert prometheus.matches(f"{watching.url}/")
    assert not prometheus.matches(f"{watching.url}/metrics")  # its own
    assert server.matches(f"{watching.url}/metrics")
    assert code(archive, f"{watching.url}/metrics") == "no_live_data"
    assert not prometheus.matches("data.csv")


@contextmanager
def proxy(url: str, key: str) -> Iterator[str]:
    """A proxy that passes requests with a key on to Prometheus."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_allowed = self.headers["Authorization"] == f"Bearer {key}"
            body = requests.get(url + self.path, timeout=30).content if is_allowed else b""
            self.send_response(200 if is_allowed else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as http:
        threading.Thread(target=http.serve_forever, args=(0.05,)).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


def test_a_key(archive: Path, watching: Prometheus, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret-of-prometheus\n")
    (tmp_path / "wrong").write_text("another\n")
    with proxy(watching.url, "secret-of-prometheus") as url:
        found = measure(archive, url, since=START, key_file=tmp_path / "key")
        assert found.comparison.rows > 0
        assert code(archive, url, since=START) == "unauthorized"
        assert code(archive, url, since=START, key_file=tmp_path / "wrong") == "unauthorized"
