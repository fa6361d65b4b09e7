"""What the launcher refuses before it starts a worker."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastmar_serving.asgi.launcher import listen, serve
from fastmar_serving.errors import ConfigRefused, PortTaken, ServeError
from fastmar_serving.platforms import sagemaker
from fastmar_serving.ports import free_port
from fastmar_serving.settings import Settings
from tests.archives import tiny_archive


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    tiny_archive(tmp_path, "1.0")
    return Settings(model_store=tmp_path, port=0, metrics_port=0)


def refusal(settings: Settings, **changes: Any) -> ServeError:
    with pytest.raises(ServeError) as caught:
        serve(replace(settings, **changes))
    return caught.value


@pytest.mark.parametrize("host", ["192.0.2.1", "300.1.1.1", "no-such-host.invalid", "a..b"])
def test_host_that_is_no_address_of_this_machine(settings: Settings, host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert refusal(settings, host=host, port=port).code == "invalid_host"
    assert refusal(settings, host=host).code == "invalid_host"
    error = refusal(settings, metrics_host=host)
    assert error.code == "invalid_host"
    assert "--metrics-host" in error.fix


def test_all_taken_ports_are_reported(settings: Settings) -> None:
    with (
        socket.create_server(("127.0.0.1", 0), reuse_port=True) as one,
        socket.create_server(("127.0.0.1", 0), reuse_port=True) as other,
    ):
        port, metrics_port = (taken.getsockname()[1] for taken in (one, other))
        error = refusal(settings, port=port, metrics_port=metrics_port)
        assert isinstance(error, PortTaken)
        assert "--port 0 --metrics-port 0" in error.fix
        assert "--metrics-port" not in refusal(settings, port=port).fix


def test_error_of_the_running_server_is_not_a_taken_port() -> None:
    def run() -> None:
        with listen("127.0.0.1", free_port("127.0.0.1"), 2) as listeners:
            assert len({listener.getsockname() for listener in listeners}) == 1
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        run()


def test_options_of_torchserve(settings: Settings) -> None:
    assert refusal(settings, management="0").code == "option_not_supported"
    assert refusal(settings, config=Path("config.properties")).code == "option_not_supported"


def test_platform_that_needs_one_model(settings: Settings, tmp_path: Path) -> None:
    tiny_archive(tmp_path, "1.0", name="other")
    with pytest.raises(ConfigRefused) as caught:
        serve(settings, sagemaker({}, tmp_path / "no"))
    assert caught.value.code == "several_models"
