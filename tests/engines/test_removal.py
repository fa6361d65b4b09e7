"""A model is removed from a running server, and deployed again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.archives import tiny_archive
from tests.engines import Engine, needs
from tests.engines.calls import NEW, OLD, call, command_runner, prediction, wait_for

pytestmark = needs("launcher")


def test_remove(engine: Engine, tiny_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_archive(tiny_store, "2.0", flipped=True)
    tiny_archive(tiny_store, name="other")
    with engine.serve(tiny_store, "--no-token") as server:
        fastmar = command_runner(server, capsys)
        assert prediction(server, key=None) == NEW

        def served() -> set[str]:
            return set(call(server, "GET", "/v1/models", key=None).json["models"])

        fastmar("models", "--remove", "tiny")
        wait_for(lambda: served() == {"other"})
        assert call(server, "GET", "/ping", key=None).status == 200, "ready without it"
        for path in ("/predictions/tiny", "/predictions/tiny/1.0"):
            assert prediction(server, path, key=None) == 404
        assert prediction(server, "/predictions/other", key=None) == OLD
        assert {path.name for path in (tiny_store / "unloaded").iterdir()} == {"tiny-1.0.mar", "tiny-2.0.mar"}
        assert "not loaded" in fastmar("models", "--remove", "tiny", status=1)[1]
        fastmar("deploy", tiny_store / "unloaded" / "tiny-1.0.mar")
        wait_for(lambda: served() == {"other", "tiny"})
        assert prediction(server, key=None) == OLD
        assert "not ready" not in server.stderr.read_text()
