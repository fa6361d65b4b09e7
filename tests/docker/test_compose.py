"""`make up` and docker/compose.yaml from a clean checkout, with a real engine and Compose."""

from __future__ import annotations

import html
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from tests.docker.archives import NAME, NEW, OLD, RECORD, write_version
from tests.docker.clouds import IMAGES, docker
from tests.docker.stack import Stack, checkout, need_compose, stack
from tests.docker.watched import ROOT, prometheus, wait_for

from fastmar_cli.commands.serve import from_environment

pytestmark = pytest.mark.docker

COMPOSE = ROOT / "docker" / "compose.yaml"
UP = "docker/up.sh"  # what `make up` runs


@pytest.fixture(scope="module", autouse=True)
def compose(engine: Any, web_image: str) -> None:
    need_compose()


@pytest.fixture(scope="module")
def up(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, str]]:
    """A running stack, and what `make up` printed."""
    folder = checkout(tmp_path_factory.mktemp("checkout"))
    write_version(folder / "model_store", "1.0")
    with stack(folder, "asgi", "fastmar-test-up") as running:
        yield running, running.run(UP).stdout


@pytest.fixture(scope="module")
def running(up: tuple[Stack, str]) -> Stack:
    return up[0]


def test_prints_a_working_curl_command(up: tuple[Stack, str]) -> None:
    running, printed = up
    assert f"Inference   {running.url}\n" in printed
    (curl,) = re.findall(r"^  (curl .*)", printed, re.MULTILINE)
    assert json.loads(running.run("bash", "-c", curl).stdout)["prediction"] == OLD


def test_refuses_requests_without_the_key(running: Stack) -> None:
    assert running.ask().status_code in (400, 401)
    assert running.ask("x" * 64).status_code in (400, 401)
    answer = running.ask(running.key())
    assert (answer.status_code, answer.json()["prediction"]) == (200, OLD)


def test_key_is_random_private_and_permanent(running: Stack) -> None:
    file = running.folder / "docker" / "keys" / "inference.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(r"[0-9a-f]{64}", running.key())
    key, settings = running.key(), (running.folder / "docker" / ".env").read_text()
    running.run(UP)
    assert (running.key(), (running.folder / "docker" / ".env").read_text()) == (key, settings)
    secret = ["docker/keys/inference.key", "docker/.env"]
    ignored = subprocess.run(["git", "check-ignore", *secret], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ignored.stdout.split() == secret


def test_engine_is_remembered(tmp_path: Path) -> None:
    """Each run stops before it starts a container, since it finds no archive."""
    other = Stack(checkout(tmp_path), "", "fastmar-test-engine")
    settings = tmp_path / "docker" / ".env"

    def images(**variables: str) -> list[str]:
        given = [f"{name}={value}" for name, value in variables.items()]
        done = other.run("env", "MODEL_STORE=/nowhere", *given, "docker/up.sh", fails=True)
        assert "There is no archive in /nowhere." in done.stderr
        lines = [line for line in settings.read_text().splitlines() if line.startswith("FASTMAR_IMAGE=")]
        assert ("docker/.env has" in done.stdout) == (lines != before)
        before[:] = lines
        return lines

    before: list[str] = []
    assert images() == []
    assert images(ENGINE="asgi") == ["FASTMAR_IMAGE=fastmar:asgi"]
    for unchanged in ({}, {"ENGINE": "asgi"}, {"ENGINE": "torchserve", "FASTMAR_IMAGE": "registry/own:1"}):
        assert images(**unchanged) == ["FASTMAR_IMAGE=fastmar:asgi"]
    kept = settings.read_text()
    assert images(ENGINE="torchserve") == ["FASTMAR_IMAGE=fastmar:latest"]
    assert settings.read_text() == kept.replace("FASTMAR_IMAGE=fastmar:asgi", "FASTMAR_IMAGE=fastmar:latest")


def test_container_has_few_privileges(running: Stack) -> None:
    seen = running.inspect()
    assert seen["Config"]["Image"] == IMAGES["asgi"]
    host = seen["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] == 4 << 30
    assert host["PidsLimit"]
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert not seen["Config"]["User"].startswith("0:")
    assert {bound["HostIp"] for bounds in host["PortBindings"].values() for bound in bounds} == {"127.0.0.1"}
    for path in ("/x", "/opt/fastmar/x", "/run/keys/x"):
        done = running.run("docker/compose.sh", "exec", "-T", "fastmar", "touch", path, fails=True)
        assert "Read-only file system" in done.stderr


def test_forms_use_the_key_without_showing_it(up: tuple[Stack, str]) -> None:
    running, printed = up
    assert f"Forms       {running.web_url}\n" in printed
    pages = [requests.get(running.web_url, timeout=30), requests.get(f"{running.web_url}/models/{NAME}", timeout=30)]
    assert f'href="/models/{NAME}"' in pages[0].text
    fields = set(map(html.unescape, re.findall(r'<(?:input|select)[^>]* name="([^"]+)"', pages[1].text)))
    assert set(RECORD) <= fields
    filled = {name: "yes" if value is True else str(value).strip() for name, value in RECORD.items()}
    pages.append(requests.post(f"{running.web_url}/models/{NAME}", data=filled, timeout=30))
    assert [page.status_code for page in pages] == [200, 200, 200]
    assert f"Prediction: {OLD}" in html.unescape(pages[2].text)
    assert f"curl -s {running.url}/predictions/{NAME}" in html.unescape(pages[2].text)
    assert running.key() not in "".join(page.text + str(page.headers) for page in pages)
    seen = running.inspect("web")
    host = seen["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Memory"]) == (True, ["ALL"], 768 << 20)
    assert host["PortBindings"] == {"8501/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(running.web_port)}]}
    assert not seen["Config"]["User"].startswith("0:")


def test_image_of_the_forms_has_no_other_packages_of_fastmar(web_image: str) -> None:
    site = "/opt/fastmar/lib/python3.11/site-packages"
    found = docker("run", "--rm", "--network", "none", "--entrypoint", "ls", web_image, site).split()
    assert {name for name in found if re.fullmatch(r"fastmar_[a-z]+", name)} == {
        "fastmar_cli",
        "fastmar_client",
        "fastmar_contract",
        "fastmar_web",
    }
    assert "openpyxl" in found
    assert not {"numpy", "onnxruntime", "torch", "ts"} & set(found)


def test_settings_of_the_server_are_passed_on(running: Stack) -> None:
    settings = {"FASTMAR_REQUEST_LOG": "/state/requests", "FASTMAR_REQUEST_LOG_MAX": "5", "FASTMAR_ACCESS_LOG": "yes"}
    given = [f"{name}={value}" for name, value in settings.items()]
    printed = running.run("env", *given, "docker/compose.sh", "config").stdout
    passed = yaml.safe_load(printed)["services"]["fastmar"]["environment"]
    options = vars(from_environment({name: str(value) for name, value in passed.items()}))
    assert (options["request_log"], options["request_log_max"]) == (Path("/state/requests"), 5)
    assert options["access_log"]


def test_stop_grace_period_is_longer_than_the_drain(running: Stack) -> None:
    service = yaml.safe_load(running.compose("config"))["services"]["fastmar"]
    assert (
        int(service["stop_grace_period"].removesuffix("s")) > int(service["environment"]["FASTMAR_DRAIN_TIMEOUT"]) + 10
    )


def test_prometheus_scrapes_the_server(running: Stack, tmp_path: Path) -> None:
    with prometheus(f"127.0.0.1:{running.metrics_port}", tmp_path) as watching:
        total = f'fastmar_requests_total{{model_name="{NAME}", status="200"}}'
        wait_for(lambda: watching.value("up") == 1.0 and watching.value(total) is not None, "first look")
        before = watching.value(total) or 0
        for _ in range(7):
            running.ask(running.key())
        wait_for(lambda: watching.value(total) == before + 7, "the 7 requests")
        memory = watching.value("min(fastmar_worker_memory_bytes)")
        assert memory is not None
        assert memory > 50e6


def test_deploy_and_rollback_survive_a_restart(running: Stack) -> None:
    def default() -> str:
        answer = running.ask(running.key())
        assert answer.status_code == 200, answer.text
        return str(answer.json()["prediction"])

    write_version(running.folder / "model_store", "2.0")
    running.fastmar("deploy", f"/models/{NAME}-2.0.mar")
    assert default() == NEW
    running.compose("restart", "--timeout", "60", "fastmar")
    wait_for(lambda: running.inspect()["State"]["Health"]["Status"] == "healthy", "healthy container")
    assert default() == NEW
    running.fastmar("rollback", NAME)
    assert default() == OLD
    running.fastmar("models", "--unload", NAME, "2.0")
    assert default() == OLD


def test_archives_are_read_only_and_changes_are_audited(running: Stack) -> None:
    [store] = [mount for mount in running.inspect()["Mounts"] if mount["Destination"] == "/models"]
    assert store["RW"] is False
    assert not list((running.folder / "model_store").glob("*.json*"))
    lines = running.compose("exec", "-T", "fastmar", "cat", "/state/audit.jsonl").splitlines()
    actions = [json.loads(line)["action"] for line in lines]
    assert actions[:2] == ["deploy", "rollback"]


def test_down_stops_the_server_without_sigkill(running: Stack) -> None:
    name = running.inspect()["Name"].removeprefix("/")
    running.compose("stop")
    assert running.run("docker", "inspect", "--format", "{{.State.ExitCode}}", name).stdout.strip() == "0"
    running.compose("down")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", running.port)) != 0


def test_plain_compose_from_a_clean_checkout(torchserve_image: str, tmp_path: Path) -> None:
    """The default is TorchServe. Without `make up` the server generates keys at each start, and logs their file."""
    folder = checkout(tmp_path)
    write_version(folder / "model_store", "1.0")
    command = ["docker-compose"] if not _has_plugin() else ["docker", "compose"]
    with stack(folder, "", "fastmar-test-plain", [*command, "-f", "docker/compose.yaml", "up", "-d"]) as running:
        wait_for(lambda: running.inspect()["State"]["Health"]["Status"] == "healthy", "healthy container")
        assert requests.get(f"{running.url}/ping", timeout=10).status_code == 200
        assert running.ask().status_code in (400, 401)
        (file,) = re.findall(r"^.*Keys +(\S+) ", running.compose("logs", "--no-color"), re.MULTILINE)
        keys = json.loads(running.compose("exec", "-T", "fastmar", "cat", file))
        assert running.ask(keys["inference"]["key"]).json()["prediction"] == OLD
        wait_for(lambda: running.inspect("web")["State"]["Health"]["Status"] == "healthy", "forms")
        page = requests.get(running.web_url, timeout=30)
        assert "refuses the key" in page.text  # the forms have no key


def test_up_reports_an_empty_store_and_a_damaged_archive(image: str, tmp_path: Path) -> None:
    with stack(checkout(tmp_path), "asgi", "fastmar-test-broken") as running:
        done = running.run(UP, fails=True)
        assert "model_store" in done.stderr
        assert "fastmar export" in done.stderr
        assert running.compose("ps", "-q").strip() == ""
        whole = write_version(running.folder / "model_store", "1.0")
        (running.folder / "model_store" / "cut.mar").write_bytes(whole.read_bytes()[:3000])
        done = running.run(UP, fails=True)
        assert "cut.mar" in done.stderr
        assert "did not become ready" in done.stderr
        assert running.inspect()["State"]["Running"] is False


@pytest.fixture(scope="module")
def offline(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, str]]:
    """A running stack without the images of monitoring, and the errors of `make up`."""
    folder = checkout(tmp_path_factory.mktemp("offline"))
    write_version(folder / "model_store", "1.0")
    compose = folder / "docker" / "compose.yaml"
    text = re.sub(r"image: (prom|grafana)/", "image: 127.0.0.1:9/", compose.read_text("utf-8"))
    compose.write_text(text, encoding="utf-8")
    with stack(folder, "asgi", "fastmar-test-offline") as running:
        done = running.run("env", "COMPOSE_PROFILES=monitoring", UP, fails=True)
        assert "Ready." in done.stdout
        assert "Grafana" not in done.stdout
        yield running, done.stderr


def test_up_starts_what_it_can_without_the_images_of_monitoring(offline: tuple[Stack, str]) -> None:
    running, errors = offline
    assert "Not started: prometheus grafana," in errors
    images = re.findall(r"127\.0\.0\.1:9/\S+", (running.folder / "docker" / "compose.yaml").read_text("utf-8"))
    assert images
    assert all(name in errors for name in images)
    assert "port is taken" not in errors
    assert running.ask(running.key()).status_code == 200
    assert requests.get(running.web_url, timeout=30).status_code == 200


def test_up_starts_a_repaired_server_after_a_crash_loop(offline: tuple[Stack, str]) -> None:
    running, _ = offline
    broken = running.folder / "model_store" / "cut.mar"
    broken.write_bytes(b"not an archive")
    running.compose("restart", "--timeout", "60", "fastmar")
    wait_for(lambda: running.inspect()["RestartCount"] > 1, "crash loop")
    broken.unlink()
    done = running.run(UP)
    assert "Ready." in done.stdout
    assert "cut.mar" not in done.stderr


def test_all_services_are_pinned_and_hardened() -> None:
    """Reads compose.yaml, since the images of some services are not available here."""
    services = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    assert set(services) == {"fastmar", "web", "prometheus", "grafana"}
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["logging"]["options"]["max-size"], name
        assert service["mem_limit"], name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
        if name not in ("fastmar", "web"):
            assert service["profiles"] == ["monitoring"], name
            assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), name
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert not source.startswith("./") or (COMPOSE.parent / source).exists(), source


def _has_plugin() -> bool:
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
