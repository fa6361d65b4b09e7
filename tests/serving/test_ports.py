from __future__ import annotations

import errno
import socket

import pytest

from fastmar_serving import errors
from fastmar_serving.ports import METRICS, check_ports, free_port
from fastmar_serving.settings import reachable_url

FREE = {
    "inference_address": "http://127.0.0.1:0",
    "metrics_address": "http://127.0.0.1:0",
    "management_address": "unix:/m",
}


def test_names_all_taken_ports() -> None:
    check_ports(FREE)
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        addresses = [f"127.0.0.1:{taken.getsockname()[1]}" for taken in (one, other)]
        taken = {"inference_address": f"http://{addresses[0]}", "management_address": f"http://{addresses[1]}"}
        with pytest.raises(errors.PortTaken) as caught:
            check_ports(FREE | taken)
        assert all(address in caught.value.message for address in addresses)
        assert "--port 0 --management 0" in caught.value.fix
        with pytest.raises(errors.PortTaken) as caught:
            check_ports(FREE | {"metrics_address": f"http://{addresses[0]}"})
        assert "--metrics-port 0" in caught.value.fix


@pytest.mark.parametrize("host", ["192.0.2.1", "300.1.1.1", "no-such-host.invalid"])
def test_refuses_a_host_that_is_no_address_of_this_machine(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = f"http://127.0.0.1:{taken.getsockname()[1]}"  # of two faults, the host comes first
        for name, option in (("inference_address", "--host"), ("metrics_address", "--metrics-host")):
            with pytest.raises(errors.ConfigRefused) as caught:
                check_ports(FREE | {"management_address": busy, name: f"http://{host}:0"})
            assert caught.value.code == "invalid_host"
            assert host in caught.value.message
            assert f"{option} " in caught.value.fix
    with pytest.raises(errors.ConfigRefused) as caught:
        free_port(host, METRICS)
    assert caught.value.code == "invalid_host"
    assert "--metrics-host " in caught.value.fix


def test_a_free_port_is_not_one_for_outgoing_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the server listens, such a port may be given to a client."""
    assert all(20_000 <= free_port("127.0.0.1") < 32_768 for _ in range(200))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = taken.getsockname()[1]
        free = free_port("127.0.0.1")
        monkeypatch.setattr("fastmar_serving.ports._PORTS", [busy, free])
        assert {free_port("127.0.0.1") for _ in range(20)} == {free}
        monkeypatch.setattr("fastmar_serving.ports._PORTS", [busy])
        with pytest.raises(errors.PortTaken):
            free_port("127.0.0.1")


def test_a_port_that_needs_privileges(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", denied)
    with pytest.raises(errors.ConfigRefused) as caught:
        check_ports(FREE | {"inference_address": "http://127.0.0.1:80"})
    assert caught.value.code == "port_not_permitted"
    assert "--port " in caught.value.fix


def test_reachable_url_of_an_address_for_all_interfaces() -> None:
    assert reachable_url("http://0.0.0.0:8080") == reachable_url("http://[::]:8080") == "http://127.0.0.1:8080"
    assert reachable_url("http://10.0.0.7:8080") == "http://10.0.0.7:8080"
