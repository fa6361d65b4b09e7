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
    others = [line for line in lines if line not in access]
    assert {line["level"] for line in others} == {"INFO"}
    assert {"stopped"} < {line["message"] for line in others}
    assert {path for _, path, _ in seen} <= {PATH, "/predictions/none"}
    assert "secret" not in text
    assert all(line["request_id"] for line in access)


def test_text_lines_have_the_id_of_the_response(engine: Engine, tiny_store: Path) -> None:
    forged = "/predictions/none%0Afastmar: forged"
    with engine.serve(tiny_store, "--access-log") as server:
        headers = {"Content-Type": "application/json"}
        responses = [
            requests.post(server.url + PATH, data=RECORD, headers={**headers, "X-Request-ID": "import-7"}, timeout=30),
            requests.post(server.url + PATH, data=RECORD, headers=headers, timeout=30),
            requests.post(server.url + forged, data=RECORD, headers=headers, timeout=30),
            requests.get(server.url + "/ping", timeout=30),
        ]
        assert server.stop() == 0
        lines = server.stderr.read_text().splitlines()
    logged = {id_: line for line in lines for _, found, id_ in [line.partition(" request_id=")] if found}
    ids = [response.headers["X-Request-ID"] for response in responses]
    assert ids[0] == "import-7"
    assert [logged[id_].split()[1:4] for id_ in ids[:2]] == [["POST", PATH, "200"]] * 2
    assert "\\nfastmar: forged 404 " in logged[ids[2]]
    assert "GET /ping 200 " in logged[ids[3]]


def test_requests_are_not_logged_without_the_option(engine: Engine, tiny_store: Path) -> None:
    with engine.serve(tiny_store) as server:
        requests.post(server.url + PATH, data=RECORD, headers={"Content-Type": "application/json"}, timeout=30)
        assert server.stop() == 0
        assert PATH not in server.stderr.read_text()
