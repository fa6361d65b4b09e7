"""Records to real servers that a real Prometheus scrapes: drift is reported, and its alerts fire, only after a change.

One server has the same learner twice: `steady` gets records of the training distribution, `moved` gets records with one
column shifted by half a standard deviation, and a new category in 5% of another one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
import requests
from benchmarks.drift import Data

from fastmar_cli.main import main
from fastmar_serving.testing import RunningServer
from tests.docker.watched import Prometheus, needs, prometheus
from tests.engines import GRANIAN, LONG, Engine
from tests.engines import needs as needs_capability
from tests.engines.calls import TIMEOUT, wait_for
from tests.monitor import learners

pytestmark = needs_capability("launcher")

STEADY, MOVED = "steady", "moved"
KINDS = ("narrow", "wide", "categorical") if LONG else ("narrow",)
ALERTS = {"FastmarDrift", "FastmarUnseen", "FastmarMissing"}
COUNTED = "fastmar_profile_rows_total"
REFERENCE, LIVE, BATCH = 10_000, 5_000, 500  # rows


@dataclass(frozen=True)
class Archives:
    """Two archives of the same learner, the rows for each, and the columns that changed."""

    store: Path
    rows: dict[str, pd.DataFrame]
    changed: set[str]


@dataclass(frozen=True)
class Watched:
    """A server that has answered all rows, and where its counts are."""

    server: RunningServer
    prometheus: Prometheus
    profiles: Path

    def data(self, source: str) -> str:
        found = {"server": self.server.url, "metrics": f"{self.server.metrics}", "prometheus": self.prometheus.url}
        return found.get(source) or str(self.profiles)


@pytest.fixture(scope="module", params=KINDS)
def archives(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Archives:
    data = Data(request.param, 0, 2_000)
    store = tmp_path_factory.mktemp(request.param) / "store"
    learners.export(learners.table(data, data.draw(REFERENCE)), store, [STEADY, MOVED])
    rows, changed = data.change(data.draw(LIVE))
    tables = {STEADY: learners.table(data, data.draw(LIVE)), MOVED: learners.table(data, rows)}
    return Archives(store, {name: table.drop(columns=learners.TARGET) for name, table in tables.items()}, changed)


@pytest.fixture(scope="module")
def watched(engine: Engine, archives: Archives, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    if engine is GRANIAN:
        pytest.skip("its workers count as those of uvicorn")
    needs("prometheus")
    folder = tmp_path_factory.mktemp("watched")
    options = ("--workers", "2", "--profiles", str(folder / "profiles"), "--profile-period", "1")
    with engine.serve(archives.store, *options) as server:
        target = server.metrics.removeprefix("http://").removesuffix("/metrics")
        with prometheus(target, folder / "prometheus", {"for: 30m": "for: 2s"}) as watching:
            wait_for(lambda: len(watching.query(COUNTED)) == 2, TIMEOUT)
            for name, table in archives.rows.items():
                for start in range(0, LIVE, BATCH):
                    send(server, name, table[start : start + BATCH])
            wait_for(lambda: [value for _, value in watching.query(COUNTED)] == [LIVE] * 2, TIMEOUT)
            yield Watched(server, watching, folder / "profiles")


def send(server: RunningServer, model: str, table: pd.DataFrame) -> None:
    headers = {"Content-Type": "text/csv"}
    url = f"{server.url}/predictions/{model}"
    response = requests.post(url, table.to_csv(index=False), headers=headers, timeout=TIMEOUT)
    assert response.status_code == 200, response.text


def largest_estimate(watching: Prometheus) -> float:
    """Largest share of the true count that `increase` may return; it extrapolates by up to 1.1 scrape intervals."""
    scrapes = min(value for _, value in watching.query(f"count_over_time({COUNTED}[1h])"))
    return 1 + 1.1 / (scrapes - 1) + 1 / LIVE  # the command rounds to a whole row


@pytest.mark.parametrize("source", ["server", "metrics", "prometheus", "files"])
def test_drift_names_what_changed(
    watched: Watched, archives: Archives, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    largest = largest_estimate(watched.prometheus) if source == "prometheus" else 1

    def drift(model: str, status: int) -> dict[str, object]:
        arguments = ["drift", str(archives.store / f"{model}.mar"), watched.data(source), "--json"]
        assert main(arguments) == status
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        rows = found["rows"]
        assert isinstance(rows, int)
        assert LIVE <= rows <= LIVE * largest
        return found

    assert drift(STEADY, 0)["verdict"] == "none"
    fields = drift(MOVED, 3)["fields"]
    assert isinstance(fields, list)
    assert {field["field"] for field in fields if field["verdict"] != "none"} == archives.changed
    assert {field["field"] for field in fields[: len(archives.changed)]} == archives.changed


def test_alerts_fire_for_what_changed(watched: Watched, archives: Archives) -> None:
    """One alert for each model, whose description names the variables that changed."""

    def firing() -> dict[tuple[str, str], set[str]]:
        alerts = watched.prometheus.get("alerts")["alerts"]
        found = [each for each in alerts if each["state"] == "firing" and each["labels"]["alertname"] in ALERTS]
        assert not [each for each in found if "variable" in each["labels"]]
        return {
            (each["labels"]["alertname"], each["labels"]["model_name"]): variables(each["annotations"]["description"])
            for each in found
        }

    def variables(description: str) -> set[str]:
        return set(re.findall(r"\b(?:field|prediction|confidence)\.\w+", description))

    category = next(name for name in archives.changed if name.startswith("category"))
    wait_for(lambda: f"field.{category}" in firing().get(("FastmarUnseen", MOVED), ()), TIMEOUT)
    shifted = {f"field.{name}" for name in archives.changed - {category}}
    wait_for(lambda: shifted <= firing().get(("FastmarDrift", MOVED), set()), TIMEOUT)
    allowed = {f"field.{name}" for name in archives.changed} | {"prediction.label", "confidence.confidence"}
    found = firing()
    assert {model for _, model in found} == {MOVED}
    assert set().union(*found.values()) <= allowed
