"""The access log of `fastmar serve`."""

from __future__ import annotations

import json
from pathlib import Path

import requests

from tests.engines import Engine, needs
from tests.engines.calls import PATH, RECORD

pytestmark = needs("launcher")


def test_each_request_is_logged_without_its_query_and_body(engine: Engine, tiny_store: Path) -> None:
    with engine.serve(tiny_store, "--access-log", "--log-format", "json") as server:
        for path, body in ((PATH, RECORD), (f"{PATH}?secret=1", b"{}"), ("/predictions/none", RECORD)):
            requests.post(server.url + path, data=body, headers={"Content-Type": "application/json"}, timeout=30)
        assert server.stop() == 0
        text = server.stderr.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    access = [line for line in lines if line["logger"] == "fastmar.access"]
    seen = [(line["method"], line["path"], line["status"]) for line in access]
    assert ("POST", PATH, 200) in seen
    assert ("POST", PATH, 400) in seen
    assert all(line["milliseconds"] >= 0 and line["level"] == "INFO" for line in access)
    assert {path for _, path, _ in seen} <= {PATH, "/predictions/none"}
    assert "secret" not in text


def test_requests_are_not_logged_without_the_option(engine: Engine, tiny_store: Path) -> None:
    with engine.serve(tiny_store) as server:
        requests.post(server.url + PATH, data=RECORD, headers={"Content-Type": "application/json"}, timeout=30)
        assert server.stop() == 0
        assert PATH not in server.stderr.read_text()
