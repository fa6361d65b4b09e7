"""The monitoring page: its figures, what it shows when a part is missing, and real servers in Chromium."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from flask import Flask
from prometheus_client import CollectorRegistry, Histogram

from fastmar_cli.main import main
from fastmar_client import ServerUnreachable
from fastmar_client.metrics import Sample, parse_metrics, read_metrics
from fastmar_contract.request_log import FORMAT
from fastmar_monitor.errors import MonitorError, NoLiveData, OtherReference
from fastmar_serving.rollout.audit import DEPLOY, UNLOAD, audit_entry
from fastmar_serving.rollout.errors import ManagementFailed
from fastmar_serving.testing import RunningServer
from fastmar_web import Settings, create_app
from fastmar_web.errors import PageError
from fastmar_web.monitoring.deployments import SHOWN, deployments
from fastmar_web.monitoring.drift import CACHED_SECONDS, DriftSource
from fastmar_web.monitoring.sparklines import sparkline
from fastmar_web.monitoring.tiles import NOTHING, format_seconds, tiles
from fastmar_web.monitoring.traffic import PERIOD, Poller, quantile
from fastmar_web.monitoring.unknown import RequestLog
from tests.browser import Chromium
from tests.engines import FAST, TORCHSERVE, Engine
from tests.engines.calls import TIMEOUT, wait_for
from tests.web.conftest import listening, problems, strict_page
from tests.web.fake import HOSTILE
from tests.web.html import codes
from tests.web.models import COLOURS, PEOPLE, people
from tests.web.test_serving import running

expect: Any = getattr(pytest.importorskip("playwright.sync_api"), "expect")  # noqa: B009 - mypy needs no stubs
CANARY = "canary7f3a"


class Clock:
    """A clock that tests set, and metrics that they choose."""

    def __init__(self) -> None:
        self.now = 0.0
        self.text: str | None = ""

    def __call__(self) -> float:
        return self.now

    def read(self, url: str, names: Iterable[str]) -> list[Sample]:
        if self.text is None:
            raise ServerUnreachable("no answer", fix="start it")
        return list(parse_metrics(self.text, list(names)))

    def show(self, requests: int = 0, failed: int = 0, **more: float) -> None:
        """The metrics of version 1.0 of a model."""
        labels = 'model_name="a_b",model_version="1.0"'
        lines = [
            f'fastmar_requests_total{{{labels},status="200"}} {requests}',
            f'fastmar_requests_total{{{labels},status="500"}} {failed}',
            f"fastmar_records_total{{{labels}}} {requests}",
            *(f'fastmar_request_seconds_bucket{{{labels},le="{le}"}} {requests}' for le in ("0.1", "+Inf")),
            *(f'fastmar_warnings_total{{{labels},code="{code}"}} {count}' for code, count in more.items()),
        ]
        self.text = "\n".join(lines)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def poller(clock: Clock) -> Poller:
    return Poller("http://127.0.0.1:9/metrics", clock, clock.read)


def test_the_figures_are_increases_between_readings(clock: Clock, poller: Poller) -> None:
    for at, (good, bad) in enumerate([(100, 0), (110, 0), (140, 10)]):
        clock.now = 10.0 * at
        clock.show(good, bad, odd=at)
        poller.poll()
    traffic = poller.traffic("a b", "1.0")  # workers replace the space in the label
    assert traffic is not None
    assert (traffic.total.requests, traffic.recent.requests, traffic.seconds) == (150, 50, 20)
    assert traffic.recent.error_share == pytest.approx(0.2)
    assert [(start, end, found and found.requests) for start, end, found in traffic.intervals] == [
        (20, 10, 10),
        (10, 0, 40),
    ]
    assert traffic.total.codes == (("warning", "odd", 2),)
    assert tiles(traffic)[0].figure == "2.5 per second"
    assert poller.traffic("a b", "2.0") is None


def test_a_restart_and_a_failed_reading(clock: Clock, poller: Poller) -> None:
    clock.show(100)
    poller.poll()
    clock.now = 10
    clock.show(7)  # it counts from 0 again
    poller.poll()
    clock.now, clock.text = 20, None
    poller.poll()
    assert poller.traffic("a b", "1.0") is None
    known = poller.traffic("a b", "1.0", last_known=True)
    assert known is not None
    assert (known.total.requests, known.age) == (7, 10)
    assert poller.traffic("a b", "3.0", last_known=True) is None
    clock.now = 30
    clock.show(9)
    poller.poll()
    traffic = poller.traffic("a b", "1.0")
    assert traffic is not None
    assert [found and found.requests for _, _, found in traffic.intervals] == [7, None, None]
    assert (traffic.recent.requests, traffic.seconds) == (7, 10)


def test_one_reading_gives_the_sums(clock: Clock, poller: Poller) -> None:
    clock.show(3, 1)
    traffic = poller.traffic("a b", "1.0")
    assert traffic is not None
    assert traffic.seconds == 0
    assert [tile.figure for tile in tiles(traffic)] == [NOTHING] * 3
    assert "4 with 3 records" in tiles(traffic)[0].total


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_quantiles_are_those_of_the_bucket(share: float) -> None:
    values = [0.001 * n for n in range(1, 201)]
    histogram = Histogram("h", "h", registry=CollectorRegistry(), buckets=(0.01, 0.05, 0.1, 0.3))
    for value in values:
        histogram.observe(value)
    samples = [each for metric in histogram.collect() for each in metric.samples if each.name == "h_bucket"]
    buckets = [(float(each.labels["le"]), each.value) for each in samples]
    assert quantile(buckets, share) == pytest.approx({0.5: 0.1, 0.99: 0.1 + 0.2 * 0.98}[share])
    assert quantile([(0.1, 0), (float("inf"), 5)], share) == 0.1
    assert quantile([], share) is None


def test_a_plot_has_gaps_and_escapes_its_title() -> None:
    plot = sparkline([(40, 30, 1.0), (30, 20, 2.0), (20, 10, None), (10, 0, 4.0)], 40, HOSTILE)
    assert HOSTILE not in plot
    assert 'class="line" d="M0.0 36.0H75.0V25.0H150.0M225.0 3.0H300.0"' in plot
    assert "<path" in sparkline([], 40, "")


@pytest.mark.parametrize(("seconds", "text"), [(0.00123, "1.2 ms"), (0.0994, "99 ms"), (0.25, "250 ms"), (3, "3.0 s")])
def test_durations(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def record(folder: Path, action: str, model: str, after: str | None, error: Exception | None = None) -> None:
    """Write a line of the audit log, as the commands do."""
    server: Any = SimpleNamespace(state=folder, run_dir=None, url="http://127.0.0.1:8080")
    try:
        with audit_entry(server, action) as entry:
            entry.model, entry.before, entry.after = model, "1.0", after
            if error:
                raise error
    except ManagementFailed:
        pass


def test_the_audit_log_is_read_from_its_end(tmp_path: Path) -> None:
    assert deployments(tmp_path, "a") is None
    record(tmp_path, DEPLOY, "a", "2.0")
    record(tmp_path, DEPLOY, "other", "3.0")
    record(tmp_path, DEPLOY, "a", "3.0", ManagementFailed(f"{CANARY} refused", fix="wait", code="not_loaded"))
    record(tmp_path, UNLOAD, "a", None)
    with (tmp_path / "audit.jsonl").open("a", encoding="utf-8") as file:
        file.write(
            '[1]\n"text"\n{"model": "a"}\n{"model": "a", "time": 3, "action": "deploy", "result": "success"}\n{"mod'
        )
    found = deployments(tmp_path, "a")
    assert found is not None
    assert [(each.action, each.after, each.result, each.code) for each in found] == [
        ("unload", None, "success", None),
        ("deploy", "3.0", "failed", "not_loaded"),
        ("deploy", "2.0", "success", None),
    ]
    assert CANARY not in repr(found)
    for _ in range(SHOWN + 1):  # the first line continues the half one
        record(tmp_path, DEPLOY, "a", "9.0")
    assert {each.after for each in deployments(tmp_path, "a") or ()} == {"9.0"}


def logged(value: Any, *, model: str = "people", code: str = "unknown_category", **changes: Any) -> str:
    """A line of a request log."""
    entry = {
        "format": FORMAT,
        "time": "2026-11-29T12:00:00.123+00:00",
        "request_id": "1",
        "row": 0,
        "model": model,
        "version": "1.0",
        "digest": None,
        "record": {"level": value, "age": CANARY},
        "answer": {"prediction": "x", "warnings": [{"field": "level", "code": code}]},
    }
    return json.dumps({**entry, **changes}) + "\n"


def test_unknown_categories_are_counted(tmp_path: Path) -> None:
    refused = {"error": {"code": "missing_column", "field": "age"}}
    lines = [logged("moon"), logged("moon"), logged(HOSTILE), logged("x" * 200), logged("known", code="other")]
    lines += [
        logged("other", model="fruit"),
        logged("old", version="0.9"),
        logged("dropped", record={}, dropped=["level"]),
    ]
    lines += [
        "[1]\n",
        '{"half\n',
        logged("refused", answer=refused),
        logged("shape", answer=[]),
        logged("a hash", hashed=["level"]),
    ]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jsonl").write_text("".join(lines), encoding="utf-8")
    view = RequestLog(tmp_path).view("people", "1.0")
    assert view.rows[:2] == (("level", "moon", 2), ("level", None, 2))
    assert set(view.rows[2:]) == {("level", HOSTILE, 1), ("level", "x" * 79 + "…", 1)}
    assert (view.left_out, view.records) == (0, 8)
    assert str(view.since) == "2026-11-29 12:00:00.123000+00:00"
    empty = RequestLog(tmp_path / "none").view("people", "1.0")
    assert (empty.records, empty.since, empty.unreadable) == (0, None, 0)


def test_only_the_latest_lines_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastmar_web.monitoring.unknown.MAX_BYTES", 5000)
    (tmp_path / "a.jsonl").write_text("".join(logged(f"n{n}") for n in range(1000)), encoding="utf-8")
    view = RequestLog(tmp_path).view("people", "1.0")
    assert 10 < view.records < 20
    assert "n999" in {category for _, category, _ in view.rows}


def test_a_log_that_can_not_be_read_is_not_empty(monitored: Callable[..., str], tmp_path: Path) -> None:
    assert codes(monitored(request_log=tmp_path))[2:] == ["no_logged_records", "no_audit_log"]
    (tmp_path / "a.jsonl").mkdir()
    (tmp_path / "b.jsonl").write_text(logged("known", code="other"), encoding="utf-8")
    assert codes(monitored(request_log=tmp_path))[2:] == ["no_unknown_categories", "log_unreadable", "no_audit_log"]


@pytest.fixture
def monitored(make_app: Callable[..., Flask], tmp_path: Path) -> Callable[..., str]:
    """The page of the fake server's model, from an app with the given settings."""

    def show(model: str = "people", **settings: Any) -> str:
        app = make_app(**{"monitor": tmp_path, "metrics_url": "http://127.0.0.1:9/metrics", **settings})
        reply = app.test_client().get(f"/models/{model}/monitoring")
        app.extensions["fastmar_poller"].close()
        assert reply.status_code == 200
        return reply.get_data(as_text=True)

    return show


def test_without_anything_the_page_says_what_to_do(monitored: Callable[..., str]) -> None:
    assert codes(monitored()) == ["no_metrics", "archive_not_found", "no_request_log", "no_audit_log"]


def test_without_the_packages_the_page_names_the_command(
    monitored: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("fastmar_monitor")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "scipy", None)
    page = monitored()
    assert codes(page)[1] == "monitoring_not_installed"
    assert "pip install &#39;fastmar[monitoring]&#39;" in page


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (NoLiveData(CANARY, fix="wait"), True),
        (OtherReference(CANARY, fix="pass another"), True),
        (ServerUnreachable(CANARY, fix="start it"), True),
        (MonitorError(CANARY, fix="look", code="data_unreadable"), False),
    ],
    ids=lambda each: getattr(each, "code", None),
)
def test_why_there_is_no_verdict(error: Any, known: bool, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("fastmar_monitor.archives.find_archive", lambda *_: Path("a.mar"))
    monkeypatch.setattr("fastmar_monitor.archives.has_profile", lambda _: True)
    measured: list[Any] = []

    def measure(*arguments: Any) -> None:
        measured.append(arguments)
        raise error

    monkeypatch.setattr("fastmar_monitor.drift.measure", measure)
    clock = Clock()
    source = DriftSource(Path("store"), "http://127.0.0.1:9/metrics", clock)
    found = source.view("people", "1.0")
    assert isinstance(found, PageError)
    assert found.code == error.code
    assert CANARY not in f"{found.message} {found.fix}"  # addresses and paths are for the operator
    assert (CANARY in capsys.readouterr().err) != known
    assert source.view("people", "1.0") is found
    assert len(measured) == 1
    clock.now += CACHED_SECONDS
    source.view("people", "1.0")
    assert len(measured) == 2


def test_an_archive_without_a_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastmar_monitor.archives.find_archive", lambda *_: Path("a.mar"))
    monkeypatch.setattr("fastmar_monitor.archives.has_profile", lambda _: False)
    found = DriftSource(Path("store"), "http://127.0.0.1:9/metrics").view("people", "1.0")
    assert isinstance(found, PageError)
    assert found.code == "no_profile"
    assert "--reference" in found.fix


def test_the_web_app_imports_no_packages_of_monitoring() -> None:
    """Neither without the option, nor before the first page."""
    program = """
import sys
from pathlib import Path
from fastmar_serving.testing import RunningServer
from fastmar_web import Settings, create_app
create_app(Settings(monitor=Path("."), metrics_url="http://127.0.0.1:9"))
sys.exit(bool({"fastmar_monitor", "fastmar_runtime", "numpy", "scipy"} & sys.modules.keys()))
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0


def test_names_from_outside_are_text(monitored: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(logged(HOSTILE), encoding="utf-8")
    record(tmp_path, DEPLOY, "people", HOSTILE)
    page = monitored(request_log=tmp_path)
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;alert(1)") == 2
    assert CANARY not in page  # the values of other fields


def test_the_page_needs_the_option_and_a_known_host(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    plain = make_app().test_client()
    assert plain.get("/models/people/monitoring").status_code == 404
    assert "/monitoring" not in plain.get("/models/people").get_data(as_text=True)
    app = make_app(monitor=tmp_path, metrics_url="http://127.0.0.1:9/metrics")
    client = app.test_client()
    assert client.get("/models/people/monitoring", headers={"Host": "evil.example"}).status_code == 400
    assert client.get("/models/nobody/monitoring").status_code == 404
    for model in ("people", "fruit"):
        assert f"/models/{model}/monitoring" in client.get(f"/models/{model}").get_data(as_text=True)
    app.extensions["fastmar_poller"].close()


@pytest.mark.parametrize(
    ("url", "metrics"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8082/metrics"),
        ("https://[::1]/", "http://[::1]:8082/metrics"),
        ("models.example:80", "http://models.example:8082/metrics"),
    ],
)
def test_the_default_address_of_the_metrics(url: str, metrics: str) -> None:
    assert Settings(url=url).metrics == metrics
    assert Settings(url=url, metrics_url="http://a/b").metrics == "http://a/b"
    assert Settings(url=url, metrics_url="http://a:8082/").metrics == "http://a:8082/metrics"


@pytest.mark.parametrize("options", [["--metrics-url", "http://a"], ["--request-log", "."], ["--monitor", "missing"]])
def test_options_that_can_not_work_are_refused(options: list[str], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["web", *options])
    assert ended.value.code == 2


def test_the_process_stops_while_it_reads_metrics(tmp_path: Path) -> None:
    with running("--monitor", str(tmp_path), "--request-log", str(tmp_path)) as (process, lines):
        [address] = [line.split()[-1] for line in lines if line.startswith("Web app")]
        assert (
            requests.get(f"{address}/models/people/monitoring", timeout=TIMEOUT).status_code == 503
        )  # no model server
        process.terminate()
        assert process.wait(TIMEOUT) == 0


@dataclass(frozen=True)
class Served:
    """The app with a real server whose records have changed.

    Attributes:
        server: the server.
        page: address of the page.
        without_log: the same, of an app that does not read the request log.
        poller: reads the server's metrics.
    """

    server: RunningServer
    page: str
    without_log: str
    poller: Poller


@pytest.fixture(scope="module")
def served(request: pytest.FixtureRequest, store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The app with a server of an engine, an audit log, and a request log."""
    folder = tmp_path_factory.mktemp("monitored")
    copy = shutil.copytree(store, folder / "store")
    for after, error in (("1.0", None), ("1.1", ManagementFailed("no", fix="wait", code="golden_mismatch"))):
        record(copy, DEPLOY, PEOPLE, after, error)
    log = folder / "log"
    with request.param.serve(copy, "--profile-period", "1", "--request-log", str(log)) as server:
        settings = Settings(url=server.url, key_file=server.key_file, monitor=copy, metrics_url=server.metrics)
        apps = [create_app(replace(settings, request_log=log)), create_app(settings)]
        poller: Poller = apps[0].extensions["fastmar_poller"]
        poller.poll()
        for _ in range(3):
            assert post(server, changed_rows()) == 200
        assert post(server, "{") == 400
        wait_for(lambda: counted(server) == COUNTED, TIMEOUT)
        with next(log.glob("*.jsonl")).open("a", encoding="utf-8") as file:
            file.write(logged(HOSTILE, model=PEOPLE))
        poller.poll()
        with listening(apps[0]) as first, listening(apps[1]) as second:
            yield Served(server, *(f"{each}/models/{PEOPLE}/monitoring" for each in (first, second)), poller)
        for app in apps:
            app.extensions["fastmar_poller"].close()
            app.extensions["fastmar_jobs"].close()


def on(*engines: Engine) -> pytest.MarkDecorator:
    """Run a test with servers of these engines."""
    params = [pytest.param(each, id=each.name, marks=getattr(pytest.mark, each.mark)) for each in engines]
    return pytest.mark.parametrize("served", params, indirect=True)


def post(server: RunningServer, table: str) -> int:
    """The status of a request with a table."""
    url = f"{server.url}/predictions/{PEOPLE}"
    return requests.post(url, table, headers={"Content-Type": "text/csv"}, timeout=TIMEOUT).status_code


def changed_rows() -> str:
    """The training data as CSV, 30 years older, and with an unknown education in a fifth of the rows."""
    frame = people().drop(columns="income")
    frame["age"] += 30
    frame.loc[frame.index < len(frame) // 5, "education"] = CANARY
    return str(frame.to_csv(index=False))


COUNTED = {
    "fastmar_requests_total": 4,
    "fastmar_records_total": 1200,
    "fastmar_profile_rows_total": 1200,
    "fastmar_warnings_total": 240,
    "fastmar_refused_total": 1,
    "fastmar_request_log_rows_total": 1200,
}


def counted(server: RunningServer) -> dict[str, float]:
    """The counts of the server's metrics, which workers report one after the other."""
    found = dict.fromkeys(COUNTED, 0.0)
    for sample in read_metrics(server.metrics, COUNTED):
        found[sample.name] += sample.value
    return found


@on(FAST, TORCHSERVE)
def test_a_real_server(served: Served) -> None:
    page = requests.get(served.page, timeout=TIMEOUT).text
    assert codes(page) == []
    assert "4 with 1,200 records" in page
    assert "1 refused (4xx), 0 failed (5xx)" in page
    assert "<code>unknown_category</code></th><td>warning</td><td>240</td>" in page
    assert "<td>error</td><td>1</td>" in page
    assert "1,200 records since the server's start, 400 of the reference data." in page
    cards = re.findall(r'<article class="card (\w+)"><h3>([^<]*)</h3>', page)
    verdicts = {name: verdict for verdict, name in cards}
    assert [verdicts[name] for name in ("age", "education", "hours-per-week")] == ["drift", "drift", "none"]
    assert cards[0][1] == "income"  # the prediction
    assert f'<th scope="row">Education</th><td>{CANARY}</td><td>240</td>' in page
    without_log = requests.get(served.without_log, timeout=TIMEOUT).text
    assert codes(without_log) == ["no_request_log"]
    assert CANARY not in without_log
    pictures = requests.get(served.page.replace(PEOPLE, COLOURS), timeout=TIMEOUT).text
    assert codes(pictures) == ["no_live_data", "no_logged_records", "no_deployments"]


@pytest.mark.asgi
def test_a_server_that_stops(store: Path, tmp_path: Path) -> None:
    """The command finds the metrics of the server, and shows the last known state when it has stopped."""
    copy = shutil.copytree(store, tmp_path / "store")
    with ExitStack() as stack:
        with FAST.serve(copy, "--profile-period", "1") as server:
            key = ["--key-file", str(server.key_file)] if server.key_file else []
            _, lines = stack.enter_context(running("--url", server.url, "--monitor", str(copy), *key))
            [address] = [line.split()[-1] for line in lines if line.startswith("Web app")]
            page = f"{address}/models/{PEOPLE}/monitoring"
            assert post(server, changed_rows()) == 200
            for text in (">400 records since the server's start, ", "with 400 records"):  # of the drift, of the traffic
                wait_for(lambda text=text: text in requests.get(page, timeout=TIMEOUT).text, TIMEOUT)  # type: ignore[misc]
            assert "Last read at" not in requests.get(page, timeout=TIMEOUT).text
        reply = requests.get(page, timeout=TIMEOUT)
        assert reply.status_code == 200
        assert codes(reply.text)[0] == "model_server_unreachable"
        assert "1 with 400 records" in reply.text
        assert "Last read at" in reply.text
        assert "Measured at" in reply.text
        assert ">400 records since the server's start, " in reply.text
        pictures = page.replace(PEOPLE, COLOURS)  # it was never shown
        assert requests.get(pictures, timeout=TIMEOUT).status_code == 503


@on(FAST)
@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_problem(chromium: Chromium, served: Served, axe: str, scheme: str, width: int) -> None:
    context = chromium.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    with strict_page(context) as page:
        page.goto(served.page.removesuffix("/monitoring"))
        page.get_by_role("link", name="Monitoring").click()
        page.wait_for_url("**/monitoring")
        for summary in page.locator("summary").all()[:3]:
            summary.click()
        assert problems(page, axe) == []
        assert HOSTILE in page.get_by_role("region", name="Unknown categories").inner_text()
        assert "golden_mismatch" in page.get_by_role("region", name="Deployments").inner_text()
        if folder := os.environ.get("SHOTS"):
            page.screenshot(path=f"{folder}/{scheme}-{width}.png", full_page=True)
        page.goto(served.page.replace(PEOPLE, COLOURS))
        assert problems(page, axe) == []


@on(FAST)
def test_the_page_updates_itself_except_under_the_focus(page: Any, served: Served) -> None:
    served.poller.poll()
    page.clock.install()
    page.goto(served.page)
    shares = page.locator("article", has=page.get_by_role("heading", name="education")).locator("details")
    shares.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(shares).to_have_attribute("open", "")
    before = counted(served.server)["fastmar_records_total"]
    assert post(served.server, changed_rows()) == 200
    wait_for(lambda: counted(served.server)["fastmar_records_total"] == before + 400, TIMEOUT)
    served.poller.poll()
    with page.expect_response(served.page):
        page.clock.fast_forward(PERIOD * 1000)
    expect(shares.locator("summary")).to_be_focused()
    expect(page.get_by_text(f"with {before:,.0f} records")).to_be_visible()
    page.locator("h1").click()  # the focus leaves the part
    page.clock.fast_forward(PERIOD * 1000)
    expect(page.get_by_text(f"with {before + 400:,.0f} records")).to_be_visible()
    expect(shares).to_have_attribute("open", "")


@on(FAST)
def test_every_part_is_reached_with_the_keyboard(page: Any, served: Served) -> None:
    page.goto(served.page)
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name = page.evaluate("(document.activeElement.ariaLabel || document.activeElement.innerText).trim()")
        if name == "Skip to the content" and reached:
            break
        reached.append(name or page.evaluate("document.activeElement.getAttribute('aria-labelledby')"))
    assert reached[:6] == ["Skip to the content", "fastmar", "Models", "Form", "Table", "Monitoring"]
    assert reached.count("Shares") == 7
    assert "Errors and warnings by code since the server's start" in reached
