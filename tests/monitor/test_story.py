"""Runs the commands of docs/monitoring.md, from the alert to the new model, with a real server and Prometheus."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import requests
from benchmarks.drift import Data

from fastmar_cli.main import main
from fastmar_serving.testing import RunningServer
from tests.docker.watched import Prometheus, needs, prometheus
from tests.engines import FAST
from tests.engines.calls import TIMEOUT, wait_for
from tests.monitor import learners

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "monitoring.md"
PROMETHEUS = "http://prometheus:9090"
ROWS = 6_000
TODAY = 3_000


def commands() -> list[tuple[str, int]]:
    """The commands of the story, and the exit status of each."""
    text = DOCUMENT.read_text("utf-8").partition("## From the alert to a new model")[2].partition("\n## ")[0]
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in textwrap.dedent(block).splitlines()]
    split = [line.partition("  # status ") for line in lines]
    return [(command.strip(), int(status[:1] or 0)) for command, _, status in split]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of the story, and the data: all recent rows have changed in the same way."""
    folder = tmp_path_factory.mktemp("story")
    data = Data("narrow", 0, 2_000)
    learners.export(learners.table(data, data.draw(ROWS)), folder / "model_store", ["loans"])
    rows, _ = data.change(data.draw(ROWS + 2 * TODAY))
    changed = learners.table(data, rows)
    recent = changed[:ROWS].reset_index(drop=True)
    recent.to_csv(folder / "recent.csv", index=False)
    today = changed[ROWS:].drop(columns=learners.TARGET)
    today[:TODAY].to_csv(folder / "today.csv", index=False)
    today[TODAY:].to_csv(folder / "later.csv", index=False)
    learners.train(recent).export(folder / "learner.pkl")
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[RunningServer]:
    with FAST.serve(folder / "model_store", "--workers", "1", "--profile-period", "1") as running:
        yield running


@pytest.fixture(scope="module")
def watching(server: RunningServer, folder: Path) -> Iterator[Prometheus]:
    needs("prometheus")
    target = server.metrics.removeprefix("http://").removesuffix("/metrics")
    with prometheus(target, folder / "prometheus", {"for: 30m": "for: 2s"}) as running:
        wait_for(lambda: running.value("fastmar_profile_rows_total") == 0, TIMEOUT)
        yield running


@pytest.mark.asgi
def test_from_the_alert_to_a_new_model(
    folder: Path, server: RunningServer, watching: Prometheus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(file: str, version: str) -> None:
        """Send the records of a file to the default version, and wait until Prometheus has counted them."""
        counted = f'sum(fastmar_profile_rows_total{{model_version="{version}"}})'
        table = pd.read_csv(folder / file, dtype=object, keep_default_na=False)
        before = watching.value(counted) or 0
        for start in range(0, len(table), 500):
            body = table[start : start + 500].to_csv(index=False)
            url = f"{server.url}/predictions/loans"
            response = requests.post(url, body, headers={"Content-Type": "text/csv"}, timeout=TIMEOUT)
            assert response.status_code == 200, response.text
        wait_for(lambda: (watching.value(counted) or 0) >= before + len(table), TIMEOUT)

    def alerts(version: str) -> set[str]:
        found = [each for each in watching.get("alerts")["alerts"] if each["labels"].get("model_version") == version]
        return {each["labels"]["alertname"] for each in found}

    monkeypatch.chdir(folder)
    monkeypatch.setenv("FASTMAR_URL", server.url)
    send("today.csv", "1.0")
    wait_for(lambda: {"FastmarDrift", "FastmarUnseen"} <= alerts("1.0"), TIMEOUT)
    listed = commands()
    assert [command.split()[1] for command, _ in listed] == [
        *("drift", "drift", "export", "diff", "drift", "deploy", "drift")
    ]
    for command, status in listed:
        if command == listed[-1][0]:
            send("later.csv", "2.0")
        assert main(command.replace(PROMETHEUS, watching.url).split()[1:]) == status, command
    assert "<svg" in (folder / "drift.html").read_text("utf-8")
    assert requests.get(f"{server.url}/predictions/loans/schema", timeout=TIMEOUT).json()["version"] == "2.0"
    wait_for(lambda: watching.value('count(fastmar:profile_psi:1h{model_version="2.0"})'), TIMEOUT)
    assert alerts("2.0") == set()
