"""One server for all tests of a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serving.archives import make_archive

from fastmar_serving.testing import RunningServer, running_server

# Returns its records after 50 ms for each batch; answers a record with "refuse" with status 400.
ECHO = """
import json, os, sys, time

def answer(body, headers):
    if headers.get("url_path") == "schema" or "schema-request" in headers.get("content-type", ""):
        return {"title": "echo"}
    if isinstance(body, list):
        return [answer(record, {}) for record in body]
    if isinstance(body, dict) and body.get("refuse"):
        return {"error": {"code": "refused", "field": "refuse", "message": "it was asked to", "fix": "do not ask"}}
    if isinstance(body, dict) and body.get("environment"):
        return {"environment": dict(os.environ), "python": sys.executable}
    return {"prediction": body}

class Echo:
    def initialize(self, context):
        print("initialised")

    def handle(self, data, context):
        time.sleep(0.05)
        context.metrics.add_counter("echo_records_total", len(data), None)
        answers = []
        for index, row in enumerate(data):
            headers = {key.lower(): value for key, value in context.get_all_request_header(index).items()}
            answered = answer(row.get("body"), headers)
            if "error" in answered:
                context.set_response_status(400, "Bad Request", index)
            context.set_response_content_type(index, "application/json")
            answers.append(json.dumps(answered).encode())
        return answers
"""

BROKEN = """
class Broken:
    def initialize(self, context):
        raise RuntimeError("golden record 3 is not reproduced\\n  Fix: export it again.")

    def handle(self, data, context):
        return [b""] * len(data)
"""


@pytest.fixture(scope="session")
def echo_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("store")
    make_archive(store, "echo", ECHO)
    return store


@pytest.fixture(scope="session")
def server(echo_store: Path) -> Iterator[RunningServer]:
    """A server with keys for both APIs."""
    with running_server(echo_store, "--token") as running:
        yield running


@pytest.fixture(scope="session")
def broken_handler() -> str:
    return BROKEN
