"""The request log of real servers: what is in it, what must be in no file, and a worker that is killed."""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from fastmar_contract.request_log import SALT, is_entry
from fastmar_export.archive import write_archive
from fastmar_export.bundle import Bundle
from fastmar_serving.testing import RunningServer
from tests.archives import language_archive, ratings_archive, tiny_archive
from tests.engines import Engine, needs, workers
from tests.engines.calls import TIMEOUT, wait_for
from tests.runtime import tiny, tiny_pictures

pytestmark = needs("launcher")

CANARY = "canary7f3a"
KEY = "0123456789abcdef-salt"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model store with a tabular, a text, a picture and a collaborative filtering model."""
    folder = tmp_path_factory.mktemp("models")
    tiny_archive(folder)
    language_archive(folder)
    ratings_archive(folder)
    predictor = tiny_pictures.predictor()
    golden = tiny.golden(predictor, [{"image": {"b64": tiny_pictures.b64(tiny_pictures.picture())}}])
    write_archive(Bundle(predictor.spec, tiny_pictures.graph(), golden), folder)
    return folder


def entries(folder: Path) -> list[dict[str, Any]]:
    """The complete lines of all files."""
    found = []
    for path in folder.glob("*.jsonl"):
        lines = path.read_bytes().splitlines(keepends=True)
        found += [json.loads(line) for line in lines if line.endswith(b"\n")]
    assert all(is_entry(entry) for entry in found)
    return found


def send_canaries(server: RunningServer) -> dict[str, requests.Response]:
    """Requests with the canary in values, unknown columns, texts and file names; the responses by model."""
    url = f"{server.url}/predictions"
    record = tiny.record(workclass=CANARY)
    strange = [record, {**record, CANARY: CANARY}, tiny.record(age=CANARY), tiny.record(hours=[CANARY]), CANARY]
    picture = {"data": (f"{CANARY}.png", tiny_pictures.picture(), "image/png")}
    texts = [{"text": CANARY}, {"text": f"it was {CANARY}", "generate": 2}, {"text": [CANARY]}]
    ratings = [{"user": CANARY, "title": CANARY}, {"user": CANARY, "recommend": 1}, {"title": CANARY, "similar": 1}]
    return {
        "tiny": requests.post(f"{url}/tiny", json=strange, timeout=TIMEOUT),
        "colours": requests.post(f"{url}/colours", files=picture, timeout=TIMEOUT),
        "words": requests.post(f"{url}/words", json=texts, timeout=TIMEOUT),
        "films": requests.post(f"{url}/films", json=ratings, timeout=TIMEOUT),
    }


def where_written(text: str, folder: Path, server: RunningServer) -> list[str]:
    """The files, logs and metrics that contain a text."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    written = {str(path): path.read_bytes() for path in (*files, server.stderr)}
    written["metrics"] = requests.get(server.metrics, timeout=TIMEOUT).content
    written["names"] = "".join(map(str, files)).encode()
    return [name for name, content in written.items() if text.encode() in content]


def logged(server: RunningServer) -> dict[str, float]:
    """The records that the log has and lost, by the metrics of all models."""
    found = {"rows": 0.0, "dropped": 0.0}
    for family in text_string_to_metric_families(requests.get(server.metrics, timeout=TIMEOUT).text):
        for sample in family.samples:
            if sample.name.startswith("fastmar_request_log_"):
                found[sample.name.split("_")[3]] += sample.value
    return found


def test_without_the_option_nothing_is_written(engine: Engine, models: Path, tmp_path: Path) -> None:
    options = ("--workers", "1", "--run-dir", str(tmp_path / "run"), "--profiles", str(tmp_path / "profiles"))
    with engine.serve(models, *options) as server:
        assert [response.status_code for response in send_canaries(server).values()] == [200] * 4
        assert where_written(CANARY, tmp_path, server) == []
        assert "fastmar_request_log_rows_total{" not in requests.get(server.metrics, timeout=TIMEOUT).text


def test_dropped_and_hashed_fields(
    engine: Engine, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SALT, KEY)
    folder = tmp_path / "log"
    hidden = ("--request-log-drop", "age,hours,title,user", "--request-log-hash", "workclass,text")
    options = ("--workers", "1", "--run-dir", str(tmp_path / "run"), "--request-log", str(folder), *hidden)
    with engine.serve(models, *options) as server:
        responses = send_canaries(server)
        wait_for(lambda: len(entries(folder)) == 12, TIMEOUT)
        wait_for(lambda: logged(server) == {"rows": 12, "dropped": 0}, TIMEOUT)
        assert where_written(CANARY, tmp_path, server) == []
        assert where_written(KEY, tmp_path, server) == []
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    by_model = {name: [each for each in entries(folder) if each["model"] == name] for name in responses}
    for name, response in responses.items():
        assert {each["request_id"] for each in by_model[name]} == {response.headers["x-request-id"]}
        assert [each["row"] for each in by_model[name]] == [*range(len(by_model[name]))]
        assert {each["digest"] for each in by_model[name]} == {None}
    digest = hmac.new(KEY.encode(), CANARY.encode(), "sha256").hexdigest()
    first, extra, *refused = by_model["tiny"]
    answer = responses["tiny"].json()[0]
    assert first["record"] == {"workclass": digest, "grade": 7, "vip": True}
    assert (first["dropped"], first["hashed"]) == (["age", "hours"], ["workclass"])
    assert first["answer"] == {
        **{part: answer[part] for part in ("prediction", "index", "probabilities")},
        "warnings": [{"field": "workclass", "code": "unknown_category"}],
    }
    assert {"field": None, "code": "extra_column"} in extra["answer"]["warnings"]
    codes = [(each["answer"]["error"]["field"], each["answer"]["error"]["code"]) for each in refused]
    assert codes == [("age", "not_a_number"), ("hours", "not_a_number"), (None, "not_an_object")]
    [picture] = by_model["colours"]
    assert picture["record"] == {}
    assert picture["measures"]["width"] == 32.0
    text, generated, _ = by_model["words"]
    assert (text["record"], text["hashed"]) == ({"text": digest}, ["text"])
    assert text["measures"]["share of unknown tokens"] > 0
    assert generated["answer"] == {"warnings": []}
    assert by_model["films"][0]["dropped"] == ["user", "title"]


def test_a_killed_worker_loses_only_what_was_not_written(engine: Engine, tiny_store: Path, tmp_path: Path) -> None:
    url = "/predictions/tiny"
    with engine.serve(tiny_store, "--workers", "1", "--request-log", str(tmp_path / "log")) as server:

        def send(request_id: str) -> None:
            headers = {"X-Request-ID": request_id}
            response = requests.post(server.url + url, json=tiny.record(), headers=headers, timeout=TIMEOUT)
            assert (response.status_code, response.headers["x-request-id"]) == (200, request_id)

        send("first")
        wait_for(lambda: len(entries(tmp_path / "log")) == 1, TIMEOUT)
        send("second")
        [worker] = workers(server)
        worker.kill()
        psutil.wait_procs([worker], TIMEOUT)
        wait_for(lambda: requests.get(f"{server.url}/ping", timeout=TIMEOUT).status_code == 200, TIMEOUT)
        wait_for(lambda: [each for each in workers(server) if each.pid != worker.pid], TIMEOUT)
        send("third")  # and the stop writes what waits
    ids = {entry["request_id"] for entry in entries(tmp_path / "log")}
    assert {"first", "third"} <= ids <= {"first", "second", "third"}
