"""The image as in production: read-only, without privileges, and as different users."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.archives import RAISES, changed
from tests.docker.clouds import IMAGES, Container, ask, container, docker, mounted
from tests.docker.conftest import ROOT
from tests.engines.load import Load
from tests.runtime import tiny, tiny_pictures

pytestmark = pytest.mark.docker

CONFINED = ("--read-only", "--user", "10001", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
WRITABLE = ("--tmpfs", "/run/fastmar", "--tmpfs", "/tmp")
OPEN = ("--env", "FASTMAR_TOKEN=no")
STARTS_WITHIN = 60.0
RECORD = json.dumps(tiny.record()).encode()


@pytest.fixture(scope="module")
def running(each_image: str, store: Path) -> Iterator[Container]:
    """A server of each engine. TorchServe runs as an arbitrary user in the group 0, as on OpenShift."""
    user = ("--user", "1000650000:0") if each_image == IMAGES["torchserve"] else ()
    with container(*CONFINED, *user, *WRITABLE, *mounted(store, "/models"), image=each_image) as started:
        started.wait()
        yield started


def keyed(running: Container) -> dict[str, str]:
    keys = json.loads(docker("exec", running.id, "cat", "/run/fastmar/key_file.json"))
    return {"Authorization": f"Bearer {keys['inference']['key']}"}


def health(running: Container) -> str:
    return docker("inspect", "--format", "{{.State.Health.Status}}", running.id)


def predicts(host: str, port: int) -> str:
    answer = ask(host, port, "POST", "/predictions/tiny", RECORD, {"Content-Type": "application/json"})
    assert answer.status == 200, answer
    return str(answer.json()["prediction"])


def ended(running: Container) -> int:
    """Wait for the exit status."""
    return int(docker("wait", running.id, timeout=STARTS_WITHIN))


def test_predicts_a_record_and_a_picture(running: Container) -> None:
    key = keyed(running)
    answer = running.post("/predictions/tiny", RECORD, "application/json", key)
    assert answer.json()["prediction"] in {"<50k", ">=50k"}
    answer = running.post("/predictions/colours", tiny_pictures.picture("blue"), "image/png", key)
    assert answer.json()["prediction"] == "blue"


def test_only_health_checks_need_no_key(running: Container) -> None:
    assert running.post("/predictions/tiny", RECORD, "application/json").status in (400, 401)
    assert running.get("/ping").status == 200


def test_healthy_at_the_first_check_after_it_is_ready(running: Container) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while health(running) == "starting":
        assert time.monotonic() < end
        time.sleep(0.2)
    assert health(running) == "healthy"


def test_management_api_is_only_available_inside(running: Container) -> None:
    listed = json.loads(docker("exec", running.id, "fastmar", "models", "--json"))
    assert {"tiny", "colours"} <= set(re.findall(r"\w+", json.dumps(listed)))
    assert running.get("/models/tiny").status in (400, 401, 404, 405)
    with pytest.raises(ConnectionRefusedError):
        ask(running.host, 8081, "GET", "/models")


def test_log_is_short_and_readable(running: Container) -> None:
    lines = running.log().splitlines()
    assert [line for line in lines if line.startswith("Ready: 2 models")]
    noise = re.compile(r"^\s+at |Exception|Traceback|\b(WARN|INFO|DEBUG|ERROR)\b|\d{4}-\d\d-\d\dT|Picked up")
    assert [line for line in lines if noise.search(line)] == []
    assert len(lines) < 30


def test_onnx_runtime_sends_no_telemetry(running: Container) -> None:
    """With telemetry, it writes a database of events to HOME, which is /tmp."""
    names = docker("exec", running.id, "find", "/tmp", "-name", "*onnxruntime*")
    assert names == ""


def published(running: Container) -> str:
    """Prediction at the published port of this machine."""
    host, port = docker("port", running.id, "8080").split(":")
    return predicts(host, int(port))


def test_stops_under_load_and_starts_again(each_image: str, store: Path) -> None:
    """No request is lost. Without a tmpfs, files of the previous run exist, even after SIGKILL."""
    options = (*OPEN, "--volume", f"{store}:/models:ro", "--publish", "127.0.0.1::8080")
    with container(*options, image=each_image) as started:
        started.wait()
        first = published(started)
        load = Load(started.port, "/predictions/tiny", RECORD, started.host)
        load.start(keep_alive=8, one_each=4)
        load.wait_for_answers(50)
        docker("stop", "--time", "50", started.id)
        outcomes = load.wait()
        assert started.exit_code == 0
        assert "connections" not in started.log()  # no warning of the drain
        for command in ((), ("kill", started.id)):
            if command:
                docker(*command)
            docker("start", started.id)
            started.wait()
            assert published(started) == first
    assert set(outcomes) == {"200", "refused"}, outcomes
    assert outcomes["refused"] == 12
    assert outcomes["200"] >= 50


def damaged(store: Path, folder: Path) -> Path:
    (folder / "tiny.mar").write_bytes((store / "tiny.mar").read_bytes()[:-2000])
    return folder


def failing(store: Path, folder: Path) -> Path:
    shutil.copyfile(store / "tiny.mar", folder / "tiny.mar")
    changed(folder / "tiny.mar", fastmar_handler_py=RAISES)
    return folder


@pytest.mark.parametrize(
    ("engine_image", "broken", "reason"),
    [
        ("image", damaged, r"ArchiveRefused: .*tiny\.mar.*BadZipFile"),
        ("torchserve_image", failing, r"LoadFailed: .*tiny.*the weights are missing"),
    ],
)
def test_damaged_archive_is_never_ready_and_named_in_the_log(
    engine_image: str, store: Path, tmp_path: Path, broken: object, reason: str, request: pytest.FixtureRequest
) -> None:
    assert callable(broken)
    tmp_path.chmod(0o755)
    image = request.getfixturevalue(engine_image)
    with container(*CONFINED, *WRITABLE, *mounted(broken(store, tmp_path), "/models"), image=image) as started:
        assert ended(started) == 1
        log = started.log()
    assert re.search(reason, log)
    assert "Fix: " in log
    assert "Ready" not in log
    assert not re.search(r"^\s+at |java\.|Traceback", log, re.MULTILINE)


def test_image_without_the_engine_says_so(image: str, store: Path) -> None:
    with container("--env", "FASTMAR_ENGINE=torchserve", *mounted(store, "/models"), image=image) as started:
        assert ended(started) == 1
        assert "Fix: " in started.log()
        assert "Traceback" not in started.log()


def test_image_with_archives_and_an_arbitrary_user(image: str, store: Path) -> None:
    """OpenShift runs images with an arbitrary user id in the group 0."""
    tag = "fastmar-test-model"
    file = str(ROOT / "docker/Dockerfile.model")
    docker("build", "--tag", tag, "--build-arg", f"IMAGE={image}", "--file", file, str(store))
    try:
        with container(*CONFINED, "--user", "1000650000:0", *WRITABLE, *OPEN, image=tag) as started:
            started.wait()
            assert predicts(started.host, started.port) in {"<50k", ">=50k"}
    finally:
        docker("image", "rm", "--force", tag)
