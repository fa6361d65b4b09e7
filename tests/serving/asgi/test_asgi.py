"""The workers of `fastmar serve --engine asgi`."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastmar_cli.main import main
from tests.archives import tiny_archive
from tests.engines import GRANIAN, workers
from tests.engines.calls import NEW, prediction, wait_for

pytestmark = pytest.mark.asgi


def test_worker_that_starts_during_a_deployment_serves_the_new_version(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    tiny_archive(tmp_path / "store", "1.0")
    second = tiny_archive(tmp_path, "2.0", flipped=True)
    with GRANIAN.serve(tmp_path / "store", "--workers", "3") as server:
        first = workers(server)
        for process in first[:2]:
            process.kill()
        wait_for(lambda: len(workers(server)) == 3 and workers(server) != first)
        assert main(["deploy", str(second), "--url", server.url]) == 0
        wait_for(lambda: "is ready" in server.stderr.read_text())
        assert {prediction(server, key=None) for _ in range(40)} == {NEW}
