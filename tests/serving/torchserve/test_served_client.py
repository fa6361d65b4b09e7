"""The client with a real server that needs keys."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastmar_client import Client, ModelNotFound, RecordRefused, Unauthorized
from fastmar_serving.testing import RunningServer

pytestmark = pytest.mark.torchserve


@pytest.fixture
def client(server: RunningServer) -> Iterator[Client]:
    with Client(server.url, key_file=server.key_file) as client:
        yield client


def test_predictions(client: Client) -> None:
    assert client.predict("echo", {"é": 1}) == {"prediction": {"é": 1}}
    assert client.predict("echo", [{"a": 1}, {"a": None}], version="1.0")[1] == {"prediction": {"a": None}}


def test_many(client: Client) -> None:
    records = [{"n": n, "refuse": n == 500} for n in range(1000)]
    answers = list(client.predict_many("echo", records, batch_size=50))
    assert answers[499] == {"prediction": {"n": 499, "refuse": False}}
    assert (answers[500]["error"]["code"], answers[500]["error"]["record"]) == ("refused", 500)
    assert len(answers) == 1000


def test_refusals(client: Client) -> None:
    with pytest.raises(RecordRefused) as refusal:
        client.predict("echo", {"refuse": True})
    assert (refusal.value.code, refusal.value.field, refusal.value.fix) == ("refused", "refuse", "do not ask")
    with pytest.raises(ModelNotFound) as missing:
        client.predict("nobody", {})
    assert missing.value.code == "model_not_found"
    with pytest.raises(ModelNotFound) as missing:
        client.predict("echo", {}, version="9.9")
    assert missing.value.code == "version_not_found"


def test_keys(server: RunningServer, tmp_path: Path) -> None:
    for token in (None, "wrong"):
        with Client(server.url, token=token) as client, pytest.raises(Unauthorized):
            client.predict("echo", {})
    assert server.key_file is not None
    stale = tmp_path / "key_file.json"
    stale.write_text(json.dumps({"inference": {"key": "of yesterday"}}))
    with Client(server.url, key_file=stale) as client:
        with pytest.raises(Unauthorized):
            client.predict("echo", {})
        stale.write_text(server.key_file.read_text())
        assert client.predict("echo", {"a": 1}) == {"prediction": {"a": 1}}


def test_schema_and_readiness(client: Client) -> None:
    assert client.schema("echo") == client.schema("echo", "1.0") == {"title": "echo"}
    client.wait_until_ready("echo", timeout=60)


def test_client_does_not_import_other_packages_of_fastmar() -> None:
    script = "import sys, fastmar_client; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    others = {"fastmar_runtime", "fastmar_cli", "fastmar_export", "numpy", "rich", "orjson", "torch"}
    assert not others & set(loaded)
