"""`fastmar deploy`, `rollback` and `models` under load: no request is lost, and each stream sees one switch."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from fastmar_cli.main import main
from fastmar_serving.audit import FILE as AUDIT
from fastmar_serving.management import Management
from fastmar_serving.testing import RunningServer
from tests.archives import (
    HANGS,
    RAISES,
    REFUSES_LATER,
    SLOW,
    UNCHECKED,
    changed,
    golden,
    renamed,
    tiny_archive,
    with_column_renamed,
)
from tests.engines import Engine, needs
from tests.engines.calls import KEY, NEW, OLD, PATH, TIMEOUT, call, prediction, wait_for
from tests.engines.streams import Streams
from tests.runtime import tiny

pytestmark = [pytest.mark.usefixtures("restored"), needs("launcher")]

OWN_HANDLERS = needs("own_handlers")


@pytest.fixture
def streams(keyed: RunningServer) -> Streams:
    return Streams(keyed.url, PATH, tiny.record(), KEY)


def names(store: Path) -> list[str]:
    """Files of the store except the audit log."""
    return sorted(path.name for path in store.iterdir() if path.name != AUDIT)


def audit(store: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (store / AUDIT).read_text().splitlines()]


def wait_for_line(server: RunningServer, line: str, within: float = TIMEOUT) -> None:
    """Wait until the server's log has the line, which it copies from the audit log with a delay."""
    deadline = time.monotonic() + within
    while line not in (log := server.stderr.read_text()):
        assert time.monotonic() < deadline, log
        time.sleep(0.05)


class TestUnderLoad:
    def test_deploy_and_rollback_lose_no_request(self, streams: Streams, fastmar: Any, tmp_path: Path) -> None:
        second = tiny_archive(tmp_path, "2.0", flipped=True)
        with streams.running():
            fastmar("deploy", second)
            streams.wait_for_more()
            assert streams.changes() == [[OLD, NEW]] * 8
            fastmar("rollback", "tiny")
        assert streams.failures == []
        assert streams.changes() == [[OLD, NEW, OLD]] * 8
        print(json.dumps({"answered": sum(map(len, streams.answers)), "failed": len(streams.failures)}))

    def test_unloading_the_old_version_loses_no_request(
        self, keyed_store: Path, management: Management, streams: Streams, fastmar: Any, tmp_path: Path
    ) -> None:
        with streams.running():
            fastmar("deploy", tiny_archive(tmp_path, "2.0", flipped=True), "--keep", 1)
            assert [version["modelVersion"] for version in management.describe("tiny")] == ["2.0"]
            assert (keyed_store / "unloaded" / "tiny-1.0.mar").exists()
            fastmar("rollback", "tiny")
        assert streams.failures == []
        assert streams.changes() == [[OLD, NEW, OLD]] * 8

    @needs("own_handlers")
    def test_unloading_a_slow_version_loses_no_request(
        self, keyed: RunningServer, keyed_store: Path, management: Management, fastmar: Any, tmp_path: Path
    ) -> None:
        slow = tiny_archive(keyed_store, "1.0", name="slow")
        changed(slow, fastmar_handler_py=SLOW, answer=golden(slow)[1][0])
        management.register(slow.name)
        streams = Streams(keyed.url, "/predictions/slow", tiny.record(), KEY, enough=2)
        with streams.running():
            quick = tiny_archive(tmp_path, "2.0", name="slow", flipped=True)
            fastmar("deploy", quick, "--sample", 1, "--keep", 1)
            assert [version["modelVersion"] for version in management.describe("slow")] == ["2.0"]
        assert streams.failures == []
        assert streams.changes() == [[OLD, NEW]] * 8


def faulty(folder: Path, fault: str) -> Path:
    path = tiny_archive(folder, "2.0", flipped=True)
    _, answers = golden(path)
    match fault:
        case "breaking" | "errors":
            return with_column_renamed(path, "workclass", "employer")
        case "golden":  # the worker detects it
            answers[0] |= {"prediction": OLD, "index": 1}
            answers[0]["probabilities"] = dict(zip(answers[0]["probabilities"], (0.1, 0.9), strict=True))
            return changed(path, golden__answers=answers)
        case "later errors":
            return changed(path, fastmar_handler_py=REFUSES_LATER)
        case "unchecked":  # wrong answers, not detected by the worker
            return changed(path, fastmar_handler_py=UNCHECKED, answer=answers[0])
        case "raises":
            return changed(path, fastmar_handler_py=RAISES)
        case "hangs":
            return changed(path, fastmar_handler_py=HANGS)
    raise AssertionError(fault)


class TestFailures:
    """A failed deployment: the old version answers all requests, and nothing of the new version stays."""

    @pytest.mark.parametrize(
        ("fault", "options", "error", "code", "fact"),
        [
            ("breaking", [], "BreakingVersion", "breaking_changes", "employer"),
            ("errors", ["--accept", "breaking-changes"], "NewErrors", "new_errors", "missing_column: 4"),
            ("golden", [], "VersionFailed", "load_failed registration_refused", "golden record 0"),
            pytest.param("later errors", [], "NewErrors", "new_errors", "missing_column: 4", marks=OWN_HANDLERS),
            pytest.param("unchecked", [], "GoldenDiffers", "golden_differs", "golden record 1", marks=OWN_HANDLERS),
            pytest.param("raises", [], "VersionFailed", "load_failed", "the weights are missing", marks=OWN_HANDLERS),
            pytest.param("hangs", ["--timeout", 4], "VersionFailed", "workers_not_ready", "0 of 1", marks=OWN_HANDLERS),
        ],
    )
    def test_faulty_version(
        self,
        keyed: RunningServer,
        keyed_store: Path,
        management: Management,
        streams: Streams,
        fastmar: Any,
        tmp_path: Path,
        fault: str,
        options: list[object],
        error: str,
        code: str,
        fact: str,
    ) -> None:
        with streams.running():
            _, err = fastmar("deploy", faulty(tmp_path, fault), *options, status=1)
        assert streams.failures == []
        assert streams.changes() == [[OLD]] * 8
        assert f"{error}: " in err
        assert fact in err
        assert "\n  Fix: " in err
        entry = audit(keyed_store)[-1]
        assert entry.items() >= {"action": "deploy", "from": "1.0", "to": "2.0", "model": "tiny"}.items()
        assert entry["code"] in code.split()
        assert entry["result"] in ("refused", "failed")
        wait_for_line(keyed, f"fastmar: audit: {json.dumps(entry)}")
        assert prediction(keyed, f"{PATH}/2.0") == 404
        assert names(keyed_store) == ["tiny-1.0.mar"]
        assert [version["modelVersion"] for version in management.describe("tiny")] == ["1.0"]
        assert call(keyed, "GET", "/ping", key=None).status == 200
        assert keyed.process.poll() is None

    @needs("own_handlers")
    def test_sigterm_undoes_the_deployment(
        self, keyed: RunningServer, keyed_store: Path, management: Management, tmp_path: Path
    ) -> None:
        command = [sys.executable, "-m", "fastmar_cli.main", "deploy", faulty(tmp_path, "hangs"), "--url", keyed.url]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            while "2.0" not in [version["modelVersion"] for version in management.describe("tiny")]:
                assert process.poll() is None
            process.terminate()
            _, printed = process.communicate(timeout=TIMEOUT)
        assert (process.returncode, printed) == (130, "Interrupted.\n")
        assert prediction(keyed, f"{PATH}/2.0") == 404
        assert names(keyed_store) == ["tiny-1.0.mar"]


class TestModels:
    def test_names_with_special_characters(self, keyed: RunningServer, fastmar: Any, tmp_path: Path) -> None:
        name, version = "my odd+model, ü=%", "2.0 beta"
        for number, each in enumerate((version, "3")):
            path = renamed(tiny_archive(tmp_path, file=f"{number}.mar", flipped=number == 1), name, each)
            fastmar("deploy", path)
        quoted = "/predictions/my%20odd%2Bmodel%2C%20%C3%BC%3D%25"
        assert (prediction(keyed, quoted), prediction(keyed, f"{quoted}/2.0%20beta")) == (NEW, OLD)
        fastmar("rollback", name)
        assert prediction(keyed, quoted) == OLD

    def test_lists_all_versions(self, fastmar: Any, tmp_path: Path) -> None:
        fastmar("deploy", tiny_archive(tmp_path, "2.0"), "--no-default")
        first, second = json.loads(fastmar("models", "--json")[0])
        assert (first["version"], first["default"]) == ("2.0", False)
        assert (second["version"], second["default"], second["file"]) == ("1.0", True, "tiny-1.0.mar")
        assert first["workers"]["ready"] == first["workers"]["asked"] >= 1
        assert first["memory"] > 1_000_000
        assert first["loaded_at"] >= second["loaded_at"]

    def test_another_model_is_deployed(self, keyed: RunningServer, fastmar: Any, tmp_path: Path) -> None:
        fastmar("deploy", tiny_archive(tmp_path, name="tokens", version="token-1"))
        assert call(keyed, "GET", "/ping", key=None).status == 200
        # TorchServe's front gets the paths of a new model from the launcher, about once a second.
        wait_for(lambda: call(keyed, "GET", "/v2/models/tokens/ready", key=None).status == 200)
        assert sorted(call(keyed, "GET", "/v1/models").json["models"]) == ["tiny", "tokens"]
        assert prediction(keyed, "/predictions/tokens/token-1") == OLD


def test_requests_of_a_deployment_are_not_counted_as_traffic(engine: Engine, tiny_store: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([tiny.record(age=age) for age in (20, 30, 40)]))
    profiles, log = tmp_path / "profiles", tmp_path / "log"
    options = ["--profiles", str(profiles), "--request-log", str(log), "--workers", "1"]
    with engine.serve(tiny_store, *options) as server:
        second = tiny_archive(tmp_path, "2.0")
        assert main(["deploy", str(second), "--url", server.url, "--requests", str(rows)]) == 0
        for token in ("", "guessed"):  # a caller can't hide its requests
            headers = {"X-Fastmar-Check": token}
            response = requests.post(f"{server.url}{PATH}", json=tiny.record(age=50), headers=headers, timeout=30)
            assert response.status_code == 200
    logged = [json.loads(line) for path in log.rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert [(entry["version"], entry["record"]["age"]) for entry in logged] == [("2.0", 50)] * 2
    counted = [json.loads(line) for path in profiles.rglob("*.jsonl") for line in path.read_text().splitlines()]
    assert {line["version"]: line["rows"] for line in counted if line["rows"]} == {"2.0": 2}


def test_restart_keeps_the_default(engine: Engine, tiny_store: Path, tmp_path: Path) -> None:
    with engine.serve(tiny_store) as server:
        assert main(["deploy", str(tiny_archive(tmp_path, "2.0", flipped=True)), "--url", server.url]) == 0
        assert main(["rollback", "tiny", "--url", server.url]) == 0
    with engine.serve(tiny_store) as server:
        assert prediction(server, key=None) == OLD
        assert prediction(server, f"{PATH}/2.0", key=None) == NEW
        urls = [line.strip().split()[2] for line in server.lines if line.strip().startswith("curl")]
        # The sample request for the default names no version, so that it follows deployments.
        assert urls == [f"{server.url}/predictions/tiny", f"{server.url}/predictions/tiny/2.0"]


def test_paths_of_a_platform(engine: Engine, tiny_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    route = "/v1/endpoints/123/deployedModels/456"
    for name, value in (("HTTP_PORT", "8080"), ("HEALTH_ROUTE", route), ("PREDICT_ROUTE", f"{route}:predict")):
        monkeypatch.setenv(f"AIP_{name}", value)
    with engine.serve(tiny_store, "--host", "127.0.0.1") as server:
        assert requests.get(server.url + route, timeout=30).status_code == 200
        assert prediction(server, f"{route}:predict", key=None) == OLD
        body = {"instances": [tiny.record()]}
        [one] = requests.post(f"{server.url}{route}:predict", json=body, timeout=30).json()["predictions"]
        assert one["prediction"] == OLD
        assert prediction(server, f"{route}:else", key=None) == 404
