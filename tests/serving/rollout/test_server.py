"""Finding the server of a command, and its keys."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastmar_serving import registry
from fastmar_serving.registry import ServerEntry
from fastmar_serving.rollout import errors
from fastmar_serving.rollout.server import ServerOptions, find_server


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Registers a server at 127.0.0.1:18099 with its own keys; call the value to register it with other facts."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    (tmp_path / "runtime").mkdir()
    (tmp_path / "store").mkdir()
    keys = {
        kind: {"key": f"{kind} key", "expiration time": "2999-01-01T00:00:00Z"} for kind in ("management", "inference")
    }
    (tmp_path / "key_file.json").write_text(json.dumps(keys))
    opened = []

    def register(**changes: Any) -> None:
        facts = {
            "inference": "http://127.0.0.1:18099",
            "management": f"unix:{tmp_path}/management.sock",
            "metrics": "http://127.0.0.1:18100",
            "model_store": str(tmp_path / "store"),
            "run_dir": str(tmp_path),
            "key_file": str(tmp_path / "key_file.json"),
            "inference_key_file": None,
            "pid": os.getpid(),
        }
        context = registry.register_server(ServerEntry(**(facts | changes)))
        context.__enter__()
        opened.append(context)

    register()
    yield register
    for context in opened:
        context.__exit__(None, None, None)


def management_key_of(server: Any) -> str | None:
    key: str | None = server.management._key()
    return key


def inference_key_of(server: Any) -> str | None:
    key: str | None = server.client._calls.requester._keys.key()
    return key


def test_finds_the_server_at_the_url(running: Any, tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:18099", "http://localhost:18099/predictions/tiny", "127.0.0.1:18099"):
        server = find_server(ServerOptions(url))
        assert server.store == tmp_path / "store"
        assert server.run_dir == tmp_path
        assert management_key_of(server) == "management key"


def test_fixed_key_is_not_used_for_management(running: Any, tmp_path: Path) -> None:
    (tmp_path / "fixed").write_text("a key of sixteen or more\n")
    running(inference_key_file=str(tmp_path / "fixed"))
    server = find_server(ServerOptions("http://127.0.0.1:18099"))
    assert management_key_of(server) == "management key"
    assert inference_key_of(server) == "a key of sixteen or more"
    assert (
        find_server(ServerOptions("http://127.0.0.1:18099", key_file=tmp_path / "fixed")).management._key()
        == "management key"
    )  # type: ignore[no-untyped-call,unused-ignore]


def test_management_address_is_given(tmp_path: Path, running: Any) -> None:
    server = find_server(ServerOptions("http://example.com:80", management=f"unix:{tmp_path}/management.sock"))
    assert management_key_of(server) == "management key"  # from the key file beside the socket
    with pytest.raises(errors.ServerNotFound) as caught:
        _ = server.store
    assert caught.value.code == "model_store_unknown"
    server = find_server(ServerOptions("http://example.com", "http://127.0.0.1:8081", model_store=tmp_path / "store"))
    assert management_key_of(server) is None
    assert server.store == tmp_path / "store"


@pytest.mark.parametrize("url", ["http://127.0.0.1:18098", "http://example.com:18099"])
def test_suggests_the_running_server_if_none_is_at_the_url(running: Any, url: str) -> None:
    with pytest.raises(errors.ServerNotFound) as caught:
        find_server(ServerOptions(url))
    assert caught.value.code == "server_not_found"
    assert "--url http://127.0.0.1:18099" in caught.value.fix


def test_a_server_in_a_container_is_managed_inside_it(running: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(errors.ServerNotFound) as caught:
        find_server(ServerOptions(f"http://127.0.0.1:{listener.getsockname()[1]}"))
    assert caught.value.code == "server_elsewhere"
    assert "compose.sh exec fastmar fastmar models" in caught.value.fix
    assert "18099" not in caught.value.fix


@pytest.mark.parametrize(
    ("listens", "urls", "hint"),
    [
        (
            "http://0.0.0.0:18099",
            ["http://0.0.0.0:18099", "http://[::]:18099", "http://localhost:18099"],
            "http://127.0.0.1:18099",
        ),
        ("http://192.0.2.5:18099", ["http://192.0.2.5:18099", "192.0.2.5:18099"], "http://192.0.2.5:18099"),
    ],
)
def test_finds_a_server_that_listens_on_another_interface(
    running: Any, listens: str, urls: list[str], hint: str
) -> None:
    running(inference=listens)
    for url in [*urls, hint]:
        assert management_key_of(find_server(ServerOptions(url))) == "management key"
    with pytest.raises(errors.ServerNotFound) as caught:
        find_server(ServerOptions("http://example.com:18099"))
    assert f"--url {hint}" in caught.value.fix


def test_a_server_that_does_not_listen_on_loopback_is_not_found_there(running: Any) -> None:
    running(inference="http://192.0.2.5:18099")
    with pytest.raises(errors.ServerNotFound) as caught:
        find_server(ServerOptions("http://127.0.0.1:18099"))
    assert "--url http://192.0.2.5:18099" in caught.value.fix


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:port", "http://x:99999", ""])
def test_refuses_an_invalid_url(url: str) -> None:
    with pytest.raises(errors.ServerNotFound) as caught:
        find_server(ServerOptions(url))
    assert caught.value.code == "invalid_url"


def test_refuses_a_model_store_that_does_not_exist_here(running: Any, tmp_path: Path) -> None:
    running(model_store=str(tmp_path / "elsewhere"))
    with pytest.raises(errors.ServerNotFound) as caught:
        _ = find_server(ServerOptions("http://127.0.0.1:18099")).store
    assert caught.value.code == "model_store_missing"


def test_management_api_does_not_answer(running: Any) -> None:
    server = find_server(ServerOptions("http://127.0.0.1:18099"))
    with pytest.raises(errors.ManagementFailed) as caught:
        server.management.names()
    assert caught.value.code == "management_unreachable"


def test_only_the_comparison_of_specs_imports_the_runtime() -> None:
    code = (
        "import pkgutil, sys, importlib\n"
        "sys.modules['fastmar_runtime'] = None\n"
        "import fastmar_serving.rollout as package, fastmar_cli.main\n"
        "for info in pkgutil.iter_modules(package.__path__):\n"
        "    if info.name == 'changes': continue  # which compares specs\n"
        "    importlib.import_module(f'{package.__name__}.{info.name}')\n"
        "for name in ('deploy', 'rollback', 'models'): fastmar_cli.main.build_parser([name])\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_refuses_a_missing_key_file(running: Any, tmp_path: Path) -> None:
    with pytest.raises(errors.ServerNotFound) as caught:
        find_server(ServerOptions("http://127.0.0.1:18099", key_file=tmp_path / "missing"))
    assert caught.value.code == "key_file_unreadable"
