"""Prometheus and Grafana: rules, dashboard, and a real Prometheus that scrapes a real server."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from tests.docker.archives import NAME, RECORD, write_version
from tests.docker.watched import CONFIG, ROOT, Prometheus, needs, prometheus, wait_for
from tests.engines import FAST, TORCHSERVE, Engine

from fastmar_serving.asgi import metrics as asgi_metrics
from fastmar_serving.testing import RunningServer

GRAFANA = ROOT / "docker" / "grafana"
UNIT_TESTS = Path(__file__).with_name("rules.test.yml")
ASKED, REFUSED, UNREADABLE = 30, 5, 2
ONLY = {
    "Mean time from request to response B": TORCHSERVE,
    "Workers of the asgi engine A": FAST,
    "Workers of the asgi engine B": FAST,
}
"""Expressions of the dashboard that have data of one engine only."""


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([needs("promtool"), *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def dashboard() -> Any:
    return json.loads((GRAFANA / "dashboards" / "fastmar.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def expressions(dashboard: Any) -> dict[str, str]:
    """PromQL of the panels and alerts, as Grafana would send it."""
    panels = {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "1m").replace("$model", ".*")
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }
    assert not [expression for expression in panels.values() if "$" in expression], "a variable that nobody sets"
    return panels


@pytest.fixture(scope="module")
def rules() -> list[Any]:
    (group,) = read_yaml(CONFIG / "rules.yml")["groups"]
    return list(group["rules"])


class TestFiles:
    def test_prometheus_accepts_the_configuration(self) -> None:
        done = promtool("check", "config", str(CONFIG / "prometheus.yml"))
        assert done.returncode == 0, done.stderr + done.stdout
        assert "rules found" in done.stdout

    def test_alerts_fire_only_for_their_reasons(self) -> None:
        done = promtool("test", "rules", str(UNIT_TESTS))
        assert done.returncode == 0, done.stderr + done.stdout

    def test_rule_tests_can_fail(self, tmp_path: Path) -> None:
        changed = (CONFIG / "rules.yml").read_text("utf-8").replace("> 0.01", "> 0.5")
        (tmp_path / "rules.yml").write_text(changed)
        text = UNIT_TESTS.read_text("utf-8").replace("../../docker/prometheus/rules.yml", "rules.yml")
        (tmp_path / "test.yml").write_text(text)
        done = promtool("test", "rules", str(tmp_path / "test.yml"))
        assert done.returncode != 0
        assert "FastmarFailing" in done.stderr + done.stdout

    def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not(self, rules: list[Any]) -> None:
        cases = [case for test in read_yaml(UNIT_TESTS)["tests"] for case in test.get("alert_rule_test", [])]
        names = {rule["alert"] for rule in rules if "alert" in rule}
        assert {case["alertname"] for case in cases if case.get("exp_alerts")} == names
        assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == names

    def test_expressions_use_only_existing_metrics(self, rules: list[Any], expressions: dict[str, str]) -> None:
        declared = yaml.safe_load(
            resources.files("fastmar_serving.torchserve").joinpath("metrics.yaml").read_text("utf-8")
        )
        emitted = {m["name"] for kind in ("ts_metrics", "model_metrics") for ms in declared[kind].values() for m in ms}
        texts = [*expressions.values(), *(rule["expr"] for rule in rules)]
        emitted |= {asgi_metrics.WORKERS, asgi_metrics.READY, asgi_metrics.LEFT_OUT}
        used = {name for text in texts for name in re.findall(r"\b(?:fastmar_|ts_|Requests)\w+", text)}
        assert len(used) > 10
        assert used <= emitted

    def test_panels_do_not_overlap(self, dashboard: Any) -> None:
        taken: set[tuple[int, int]] = set()
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24
            cells = {(place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])}
            assert not cells & taken, panel["title"]
            taken |= cells
        assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])

    def test_data_source_is_provisioned(self, dashboard: Any) -> None:
        (source,) = read_yaml(GRAFANA / "provisioning" / "datasources" / "prometheus.yml")["datasources"]
        named = {(m["type"], m["uid"]) for m in find_all(dashboard, "datasource")}
        assert named == {(source["type"], source["uid"])}

    def test_dashboard_is_valid_for_grafanas_library(self, dashboard: Any) -> None:
        """Grafana's library drops unknown members of a dashboard."""
        model = pytest.importorskip("grafana_foundation_sdk.models.dashboard", reason="no grafana-foundation-sdk")
        from grafana_foundation_sdk.cog.encoder import JSONEncoder
        from grafana_foundation_sdk.cog.plugins import register_default_plugins

        register_default_plugins()
        through = json.loads(JSONEncoder().encode(model.Dashboard.from_json(dashboard)))
        assert lost(dashboard, through) == []


def find_all(tree: Any, key: str) -> Iterator[Any]:
    if isinstance(tree, dict):
        if key in tree:
            yield tree[key]
        for value in tree.values():
            yield from find_all(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from find_all(value, key)


def lost(before: Any, after: Any, path: str = "") -> list[str]:
    """Paths of the members of `before` that `after` lacks; it may have more."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [place for key in before for place in lost(before[key], after.get(key), f"{path}/{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            place for i, (a, b) in enumerate(zip(before, after, strict=True)) for place in lost(a, b, f"{path}/{i}")
        ]
    return [] if before == after else [path]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_version(tmp_path_factory.mktemp("store"), "1.0").parent


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(TORCHSERVE, id="torchserve", marks=pytest.mark.torchserve),
        pytest.param(FAST, id="asgi", marks=pytest.mark.asgi),
    ],
)
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.param
    return found


@pytest.fixture(scope="module")
def server(engine: Engine, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    log = str(tmp_path_factory.mktemp("log"))
    with engine.serve(store, "--profile-period", "1", "--workers", "1", "--request-log", log) as running:
        yield running


@pytest.fixture(scope="module")
def watching(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    target = server.metrics.removeprefix("http://").removesuffix("/metrics")
    with prometheus(target, tmp_path_factory.mktemp("prometheus")) as running:
        wait_for(lambda: running.value("up") == 1.0 and running.value("fastmar_batches_total") == 0, "first look")
        ask(server)
        wait_for(lambda: running.value("sum(fastmar_requests_total)") == ASKED + REFUSED + UNREADABLE, "all requests")
        wait_for(lambda: running.value("sum(increase(fastmar_requests_total[1m]))"), "an increase")
        yield running


class TestWatched:
    """One server of each engine with a known number of requests, and a Prometheus that scrapes it."""

    def test_server_is_up_and_all_rules_are_healthy(self, watching: Prometheus, rules: list[Any]) -> None:
        assert watching.query("up")[0][0]["job"] == "fastmar"
        (group,) = watching.get("rules")["groups"]
        assert [rule["name"] for rule in group["rules"]] == [rule.get("alert") or rule["record"] for rule in rules]

        def looked_at() -> bool:
            (group,) = watching.get("rules")["groups"]
            return {rule["health"] for rule in group["rules"]} == {"ok"}

        wait_for(looked_at, "look at the rules")
        assert [each for each in watching.get("alerts")["alerts"] if each["state"] == "firing"] == []

    def test_counts_requests(self, watching: Prometheus, engine: Engine) -> None:
        def of(name: str, label: str) -> dict[str, float]:
            return {labels[label]: value for labels, value in watching.query(name)}

        assert of("fastmar_requests_total", "status") == {"200": ASKED, "400": REFUSED + UNREADABLE, "500": 0, "503": 0}
        assert of("fastmar_refused_total", "code") == {"missing_column": REFUSED, "bad_request": UNREADABLE}
        assert of("fastmar_warnings_total", "code") == {"extra_column": ASKED, "unknown_category": ASKED}
        assert of("fastmar_records_total", "model_version") == {"1.0": ASKED * 2 + REFUSED}
        assert of("fastmar_request_log_rows_total", "model_version") == {"1.0": ASKED * 2 + REFUSED}
        assert of("fastmar_request_log_dropped_total", "model_version") == {"1.0": 0}
        if engine is TORCHSERVE:
            assert of("ts_inference_requests_total", "model_name") == {NAME: ASKED + REFUSED + UNREADABLE}
        else:
            assert (watching.value("fastmar_workers_ready"), watching.value("fastmar_workers")) == (1, 1)
        assert of("fastmar_worker_starts_total", "model_name") == {NAME: 1}
        assert watching.value("fastmar_request_seconds_count") == ASKED + REFUSED + UNREADABLE
        assert watching.value('fastmar_request_seconds_bucket{le="+Inf"}') == ASKED + REFUSED + UNREADABLE
        seconds = watching.value("fastmar_request_seconds_sum")
        assert seconds is not None
        assert 0 < seconds < 30

    def test_counts_values(self, watching: Prometheus) -> None:
        assert watching.value("fastmar_profile_rows_total") == ASKED * 2
        for variable, slot in (("age", "missing"), ("workclass", "unseen")):
            labels = f'{{variable="field.{variable}", slot="{slot}"}}'
            assert watching.value(f"fastmar_profile_values_total{labels}") == ASKED
            share = watching.value(f"fastmar:profile_reference_share{labels}")
            assert share is not None
            assert 0 < share < 1

    def test_every_expression_of_the_dashboard_gives_data(
        self, watching: Prometheus, expressions: dict[str, str], engine: Engine
    ) -> None:
        assert set(ONLY) <= set(expressions)
        has_data = {title: text for title, text in expressions.items() if ONLY.get(title, engine) is engine}
        for title, expression in has_data.items():  # a rate needs two looks at a series that came with the requests
            wait_for(lambda e=expression: watching.query(e), f"data for {title}")  # type: ignore[misc]

    def test_variable_of_the_dashboard_lists_the_models(self, watching: Prometheus, dashboard: Any) -> None:
        (variable,) = dashboard["templating"]["list"]
        match = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
        assert match
        assert watching.get(f"label/{match[2]}/values", **{"match[]": match[1]}) == [NAME]

    def test_alert_for_a_stopped_server(self, watching: Prometheus, server: RunningServer) -> None:
        server.stop()

        def alert() -> str | None:
            """The state of the alert; earlier tests may have raised another one, since they send unknown columns."""
            states = {each["labels"]["alertname"]: each["state"] for each in watching.get("alerts")["alerts"]}
            return states.get("FastmarDown")

        assert wait_for(alert, "alert") == "pending"


def ask(server: RunningServer) -> None:
    """Requests with two records that each have an unknown column, then requests that are refused."""
    url = f"{server.url}/predictions/{NAME}"
    strange = RECORD | {"extra": 1, "age": None, "workclass": "Nobody"}
    statuses = [requests.post(url, json=[strange, RECORD], timeout=30).status_code for _ in range(ASKED)]
    statuses += [requests.post(url, json={"extra": 1}, timeout=30).status_code for _ in range(REFUSED)]
    statuses += [requests.post(url, data=b"{", timeout=30).status_code for _ in range(UNREADABLE)]
    assert statuses == [200] * ASKED + [400] * (REFUSED + UNREADABLE)
