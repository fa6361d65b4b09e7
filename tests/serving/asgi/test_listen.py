"""The ports of the asgi engine: taken ones, invalid hosts, and errors that are not about ports."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from fastmar_serving import errors
from fastmar_serving.asgi.launcher import listen, serve
from fastmar_serving.ports import free_port
from fastmar_serving.settings import Settings
from tests.archives import tiny_archive


def test_all_taken_ports_are_reported(tmp_path: Path) -> None:
    tiny_archive(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        port, metrics_port = (taken.getsockname()[1] for taken in (one, other))
        with pytest.raises(errors.PortTaken) as caught:
            serve(Settings(model_store=tmp_path, port=port, metrics_port=metrics_port))
    assert "--port 0 --metrics-port 0" in caught.value.fix


@pytest.mark.parametrize("changes", [{"host": "300.1.1.1"}, {"metrics_host": "300.1.1.1"}])
def test_invalid_host(tmp_path: Path, changes: dict[str, str]) -> None:
    tiny_archive(tmp_path)
    with pytest.raises(errors.ConfigRefused) as caught:
        serve(Settings(model_store=tmp_path, port=0, metrics_port=0, **changes))  # type: ignore[arg-type]
    assert caught.value.code == "invalid_host"


def test_error_of_the_running_server_is_not_a_taken_port() -> None:
    def run() -> None:
        with listen("127.0.0.1", free_port("127.0.0.1"), 2) as listeners:
            assert len({listener.getsockname() for listener in listeners}) == 1
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        run()
