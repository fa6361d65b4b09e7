"""The client against a real server, and runs of `score_csv` that are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.client.models import people

from fastmar_client import Client, RecordRefused, Schema
from fastmar_runtime.predictor import Predictor
from fastmar_serving.testing import RunningServer

pytestmark = pytest.mark.asgi


@pytest.fixture
def client(served: RunningServer) -> Client:
    return Client(served.url, key_file=served.key_file)


def test_models_and_schema(client: Client) -> None:
    models = {model["name"]: model for model in client.models()}
    assert models["adult"] == {"name": "adult", "version": "1.0", "versions": ["1.0"], "ready": True}
    assert set(models) == {"adult", "colours"}
    client.wait_until_ready("adult", timeout=60)
    assert Schema(client.schema("adult")).required == ("workclass", "education", "age", "hours-per-week")


def test_frames(client: Client, predictor: Predictor) -> None:
    frame = people(1500).drop(columns="salary")
    answers = client.predict("adult", frame)
    records = [{k: None if v != v else v for k, v in row.items()} for row in frame.to_dict("records")]
    assert answers == predictor.predict(records)
    assert list(client.predict_many("adult", frame, batch_size=200)) == answers


def test_validation(client: Client) -> None:
    record = {**people(2).drop(columns="salary").to_dict("records")[1], "workclass": "x"}
    with pytest.raises(RecordRefused) as caught:
        client.predict("adult", record, validate=True)
    assert (caught.value.code, caught.value.field) == ("unknown_category", "workclass")


def test_killed_runs_are_resumed(client: Client, served: RunningServer, tmp_path: Path) -> None:
    """Kill a run at different places until it completes; the output is that of an uninterrupted run."""
    table, whole, out = tmp_path / "t.csv", tmp_path / "whole.csv", tmp_path / "out.csv"
    people(6000).drop(columns="salary").assign(note='a "note",\nof two lines').to_csv(table, index_label="id")
    client.score_csv("adult", table, whole, batch_size=20)
    script = (
        "import sys; from fastmar_client import Client\n"
        "url, table, out = sys.argv[1:]\n"
        "def progress(so_far):\n"
        "    print(flush=True)\n"
        "    sys.stdin.readline()\n"
        "Client(url).score_csv('adult', table, out, batch_size=20, progress=progress)"
    )
    kills = 0
    while not out.exists():
        child = subprocess.Popen(
            [sys.executable, "-c", script, served.url, str(table), str(out)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        for _ in range(20 + kills):  # batches
            if not child.stdout.readline():
                break  # it has ended
            with suppress(BrokenPipeError):
                print(file=child.stdin, flush=True)
        time.sleep(0.001 * kills)  # a different moment within a batch
        child.send_signal(signal.SIGKILL)
        child.communicate()
        kills += child.returncode == -signal.SIGKILL
    assert kills > 5
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "t.csv", "whole.csv"]
