"""Profiles of real servers: the counts of all workers add up to what was sent, in the files and in the metrics."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from fastmar_export.archive import write_archive
from fastmar_export.bundle import Bundle
from fastmar_monitor.drift import measure
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.profiles.building import build_reference
from fastmar_runtime.profiles.counting import Counter
from fastmar_runtime.profiles.profile import Profile, empty, read_counts
from fastmar_runtime.profiles.reporting import label_names, reference_of
from fastmar_serving.testing import RunningServer
from tests.engines import Engine, needs, workers
from tests.engines.calls import TIMEOUT, wait_for
from tests.runtime import tiny

pytestmark = needs("launcher")

ROWS, REQUESTS = 120, 12
NAME = "profiled"
OTHER_HOST = ["unshare", "--uts", "sh", "-c", 'hostname other && exec "$@"', "sh"]  # in the command's process only


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A model store with an archive that has a profile, and records for it."""
    from fastmar_export.exporter import Options, export_learner
    from tests.export.tables import CASES, make_learner

    folder = tmp_path_factory.mktemp("profiled")
    learn, frame = make_learner(CASES["missing values everywhere"])
    learn.export(folder / "learner.pkl")
    frame.to_csv(folder / "rows.csv", index=False)
    options = Options(NAME, output=folder / "store", reference=folder / "rows.csv")
    export_learner(folder / "learner.pkl", options)
    with (folder / "rows.csv").open(newline="") as file:
        return folder / "store", list(csv.DictReader(file))[:ROWS]


def send(server: RunningServer, records: list[dict[str, Any]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    url = f"{server.url}/predictions/{NAME}"
    response = requests.post(url, text.getvalue(), headers={"Content-Type": "text/csv"}, timeout=TIMEOUT)
    assert response.status_code == 200, response.text


def counted(store: Path, records: list[dict[str, Any]]) -> Profile:
    """The profile of the records, counted here."""
    predictor = Predictor.open(store / f"{NAME}.mar")
    reference = reference_of(predictor)
    assert reference is not None
    counter = Counter(reference.profile.variables)
    typed = [{name: value or None for name, value in record.items()} for record in records]
    counter.answered(predictor.predict(typed, counter.prepared))
    return counter.take()


def in_files(folder: Path, expected: Profile) -> Profile:
    total = empty(expected.variables)
    for path in folder.glob("*.jsonl"):
        for line in path.read_text("utf-8").splitlines():
            total = total + read_counts(json.loads(line), expected.variables, path.name)
    return total


def in_metrics(server: RunningServer) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(requests.get(server.metrics, timeout=TIMEOUT).text):
        for sample in family.samples:
            if sample.name == "fastmar_profile_values_total":
                key = (sample.labels["variable"], sample.labels["slot"])
                found[key] = found.get(key, 0) + sample.value
    return found


def test_counts_add_up(engine: Engine, profiled: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    store, records = profiled
    expected = counted(store, records * REQUESTS)
    options = ("--workers", "2", "--profiles", str(tmp_path / "profiles"), "--profile-period", "1")
    with engine.serve(store, *options) as server:
        for _ in range(REQUESTS - 1):
            send(server, records)
        rows = ROWS * (REQUESTS - 1)
        wait_for(lambda: in_files(tmp_path / "profiles", expected).rows == rows, TIMEOUT)
        names = label_names(expected.variables)
        of_metrics = {
            (name, key): count * (REQUESTS - 1) // REQUESTS
            for name, variable, counts in zip(names, expected.variables, expected.counts, strict=True)
            for key, count in zip(variable.keys(), counts.tolist(), strict=True)
        }
        wait_for(lambda: in_metrics(server) == of_metrics, TIMEOUT)
        send(server, records)  # in the period that the stop interrupts
    total = in_files(tmp_path / "profiles", expected)
    assert total.rows == expected.rows
    for variable, ours, theirs in zip(total.variables, total.counts, expected.counts, strict=True):
        assert ours.tolist() == theirs.tolist(), variable


def test_dates_and_their_parts_are_counted_alike(engine: Engine, tmp_path: Path) -> None:
    records = [{"saledate": f"2024-{row % 12 + 1:02}-{row % 28 + 1:02}"} for row in range(ROWS)]
    spec, graph = replace(tiny.date_spec(), name=NAME), tiny.date_graph()
    model = Predictor(spec, graph)
    profile = build_reference(model, [records])
    write_archive(Bundle(spec, graph, tiny.golden(model, records[:3]), profile=profile), tmp_path / "store")
    expected = counted(tmp_path / "store", [*records, *records])
    with engine.serve(tmp_path / "store", "--profiles", str(tmp_path / "profiles")) as server:
        send(server, records)
        send(server, [tiny.date_parts(record["saledate"]) for record in records])
    total = in_files(tmp_path / "profiles", expected)
    assert total.rows == expected.rows == 2 * ROWS
    assert [counts.tolist() for counts in total.counts] == [counts.tolist() for counts in expected.counts]


def test_counts_of_two_hosts_add_up(
    engine: Engine, profiled: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    if subprocess.run([*OTHER_HOST, "true"], capture_output=True, check=False).returncode:
        pytest.skip("another host name needs the right to unshare")
    store, records = profiled
    options = ("--workers", "2", "--profiles", str(tmp_path / "profiles"))
    for command in (None, [*OTHER_HOST, sys.executable, "-m", "fastmar_cli.main"]):
        with engine.serve(store, *options, "--run-dir", str(tmp_path / str(bool(command))), command=command) as server:
            for _ in range(REQUESTS):
                send(server, records)
    total = in_files(tmp_path / "profiles", expected := counted(store, records * REQUESTS * 2))
    assert [counts.tolist() for counts in total.counts] == [counts.tolist() for counts in expected.counts]
    assert len({json.loads(path.read_text("utf-8"))["host"] for path in (tmp_path / "profiles").iterdir()}) == 2


def test_a_killed_worker_loses_one_period(
    engine: Engine, profiled: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    store, records = profiled
    expected = counted(store, records)
    options = ("--workers", "1", "--profiles", str(tmp_path), "--profile-period", "1")
    with engine.serve(store, *options) as server:
        send(server, records)
        wait_for(lambda: in_files(tmp_path, expected).rows == ROWS, TIMEOUT)
        [worker] = workers(server)
        send(server, records)
        worker.kill()
        psutil.wait_procs([worker], TIMEOUT)
        wait_for(lambda: requests.get(f"{server.url}/ping", timeout=TIMEOUT).status_code == 200, TIMEOUT)
        wait_for(lambda: [each for each in workers(server) if each.pid != worker.pid], TIMEOUT)
        send(server, records)
        # Lines of TorchServe's workers pass through the launcher.
        wait_for(lambda: "a worker was killed" in server.stderr.read_text(), TIMEOUT)
        log = server.stderr.read_text()
        assert log.count("a worker was killed") == log.count(f"a worker was killed: counts of {NAME} 1.0") == 1
    assert ROWS * 2 <= in_files(tmp_path, expected).rows <= ROWS * 3
    [notice] = measure(store / f"{NAME}.mar", str(tmp_path)).live.notices
    assert "killed once" in notice


def test_no_value_of_a_record_leaves_the_process(
    engine: Engine, profiled: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    store, records = profiled
    canary = "canary7f3a"
    strange = [{**records[0], "color": canary}, {**records[0], canary: canary}, {**records[0], "age": canary}]
    options = ("--profiles", str(tmp_path / "profiles"), "--profile-period", "1", "--run-dir", str(tmp_path / "run"))
    url = f"/predictions/{NAME}"
    with engine.serve(store, *options) as server:
        for record in strange:
            typed = {name: value or None for name, value in record.items()}
            requests.post(f"{server.url}{url}", json=typed, headers={"X-Request-ID": "known"}, timeout=TIMEOUT)
        wait_for(lambda: [*(tmp_path / "profiles").glob("*.jsonl")], TIMEOUT)
        wait_for(lambda: "fastmar_profile_rows_total{" in requests.get(server.metrics, timeout=TIMEOUT).text, TIMEOUT)
        metrics = requests.get(server.metrics, timeout=TIMEOUT).text
        written = [path for path in tmp_path.rglob("*") if path.is_file()]
        texts = [path.read_bytes() for path in (*written, server.stderr)]
    assert canary not in metrics
    assert not [path for path, text in zip((*written, "log"), texts, strict=True) if canary.encode() in text]
