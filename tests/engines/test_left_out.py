"""`fastmar serve --skip-broken`: broken archives are left out, and the others are served."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from fastmar_serving.defaults import Default, write_defaults
from tests.archives import changed, golden, tiny_archive
from tests.engines import Engine, needs
from tests.engines.calls import NEW, OLD, call, prediction

pytestmark = needs("launcher")

LEFT_OUT = {"cut.mar", "wrong-1.0.mar", "tiny-3.0.mar"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with two good versions, a truncated file, and two archives that do not reproduce their golden records."""
    store = tmp_path / "store"
    store.mkdir()
    tiny_archive(store, "1.0")
    tiny_archive(store, "2.0", flipped=True)
    for bad in (tiny_archive(store, "3.0"), tiny_archive(store, name="wrong")):
        _, answers = golden(bad)
        answers[0]["probabilities"] = dict.fromkeys(answers[0]["probabilities"], 0.5)
        changed(bad, golden__answers=answers)
    (store / "cut.mar").write_bytes((store / "tiny-1.0.mar").read_bytes()[:3000])
    return store


def test_others_are_served(engine: Engine, store: Path) -> None:
    with engine.serve(store, "--skip-broken", "--no-token") as server:
        assert prediction(server, key=None) == NEW, "the newest of the others"
        assert prediction(server, "/predictions/tiny/1.0", key=None) == OLD
        assert prediction(server, "/predictions/wrong", key=None) == 404
        assert call(server, "GET", "/ping", key=None).status == 200
        details = call(server, "GET", "/v1/models", key=None).json["details"]
        assert [each["versions"] for each in details] == [["1.0", "2.0"]]
        lines = requests.get(server.metrics, timeout=30).text.splitlines()
        found = [line for line in lines if line.startswith("fastmar_archives_left_out{")]
        assert {line.split('"')[1] for line in found} == LEFT_OUT
        assert {float(line.split()[-1]) for line in found} == {1}
        errors = [line for line in server.stderr.read_text().splitlines() if " is left out: " in line]
        assert len(errors) == len(LEFT_OUT)
        assert all(any(file in line for line in errors) for file in LEFT_OUT)
        assert all(file in server.lines[-1] for file in LEFT_OUT)


def test_a_broken_archive_prevents_the_start_by_default(engine: Engine, store: Path) -> None:
    (store / "cut.mar").unlink()
    with pytest.raises(RuntimeError, match="does not load"), engine.serve(store, "--no-token"):
        pass


def test_no_other_version_replaces_a_broken_default(engine: Engine, store: Path) -> None:
    """The newest version may be one that was rolled back."""
    write_defaults(store, {"tiny": Default("3.0")})
    tiny_archive(store, name="other")
    with engine.serve(store, "--skip-broken", "--no-token") as server:
        assert prediction(server, "/predictions/other", key=None) == OLD
        for path in ("/predictions/tiny", "/predictions/tiny/1.0"):
            assert prediction(server, path, key=None) == 404
        assert "tiny-3.0.mar, the default version of tiny, can't be served" in server.stderr.read_text()
