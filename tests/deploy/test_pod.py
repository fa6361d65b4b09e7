"""The pods of the rendered manifests, run by Docker: start, probes, drain and restart."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.deploy.conftest import PICTURES, TABLE, Archives
from tests.deploy.manifests import DEPLOY, Manifest, only, pod_template, render
from tests.deploy.pod import Outside, Pod, running_pod
from tests.engines.calls import wait_for
from tests.runtime import tiny_pictures

pytestmark = pytest.mark.docker

FASTMAR, FLIGHTS = "registry.example.com/fastmar:0.1.0", "registry.example.com/flights:1.0"
FLIGHTS_ASGI = f"{FLIGHTS}-asgi"
KEY = "0123456789abcdef0123456789abcdef"
WITH_KEY = {"Authorization": f"Bearer {KEY}"}
TOLERANCE = 1e-5  # of a probability, against what was recorded at export
STREAMS = 4
# Sends Java a signal.
JAVA = ["sh", "-c", 'for p in /proc/[0-9]*; do if grep -q ^java $p/comm; then kill "$0" "${p#/proc/}"; fi; done']
TIMEOUT = 60


def template(folder: str) -> Manifest:
    manifests = render(DEPLOY / folder)
    kind = "InferenceService" if folder.startswith("kserve") else "Deployment"
    return pod_template(only(manifests, kind))


@pytest.fixture(scope="module")
def outside(images: dict[str, str], archives_image: str, archives: Archives) -> Outside:
    return Outside(
        images={FASTMAR: images["asgi"], FLIGHTS: archives_image, FLIGHTS_ASGI: archives_image},
        secrets={"fastmar-key": {"key": KEY.encode()}},
        claims={"fastmar-archives": in_release(archives.folder)},
    )


def in_release(folder: Path) -> dict[str, bytes]:
    return {f"release-1/{path.name}": path.read_bytes() for path in folder.glob("*.mar")}


def post(url: str, body: Any, headers: dict[str, str] | None = None) -> requests.Response:
    return requests.post(url, json=body, headers=headers, timeout=TIMEOUT)


def assert_answers(pod: Pod, archives: Archives, headers: dict[str, str] | None = None) -> None:
    response = post(f"{pod.url}/predictions/{TABLE}", archives.records, headers)
    assert response.status_code == 200, response.text
    for answer, recorded in zip(response.json(), archives.answers, strict=True):
        assert answer["prediction"] == recorded["prediction"]
        assert answer["probabilities"] == pytest.approx(recorded["probabilities"], abs=TOLERANCE)
    photo, kind = tiny_pictures.picture("red", kind="JPEG"), {"Content-Type": "image/jpeg"}
    url = f"{pod.url}/predictions/{PICTURES}"
    response = requests.post(url, data=photo, headers=kind | (headers or {}), timeout=TIMEOUT)
    assert response.status_code == 200, response.text
    assert response.json()["prediction"] == "red"


@pytest.mark.parametrize("overlay", ["kubernetes/overlays/asgi", "kubernetes/examples/volume"])
def test_archives_from_an_image_or_a_volume(overlay: str, outside: Outside, archives: Archives) -> None:
    with running_pod(template(overlay), outside) as pod:
        pod.wait_until_started()
        assert_answers(pod, archives, WITH_KEY)


def test_missing_release_on_the_volume_is_never_ready(outside: Outside) -> None:
    claims = {"fastmar-archives": {"release-1/readme.txt": b"nothing to serve"}}
    empty = Outside(outside.images, outside.secrets, claims)
    with running_pod(template("kubernetes/examples/volume"), empty) as pod:
        with pytest.raises(AssertionError) as failed:
            pod.wait_until_started()
        assert "StoreEmpty" in str(failed.value)  # the container's log
        assert pod.state()["ExitCode"] == 1


def test_lifecycle_of_a_pod(outside: Outside, images: dict[str, str], archives: Archives) -> None:
    """From the init container that copies archives to the end of the grace period, with TorchServe and a key."""
    with_torchserve = replace(outside, images={**outside.images, FASTMAR: images["torchserve"]})
    with running_pod(template("kubernetes/examples/complete"), with_torchserve) as pod:
        assert not pod.probe("readinessProbe")  # still loading
        assert pod.wait_until_started() > 1
        assert pod.probe("readinessProbe")
        assert pod.probe("livenessProbe")
        assert pod.run(["test", "-f", "/run/fastmar/ready"])

        assert_answers(pod, archives, WITH_KEY)
        assert post(f"{pod.url}/predictions/{TABLE}", archives.records).status_code == 401  # no key
        assert requests.get(f"{pod.url.replace('8080', '8082')}/metrics", timeout=TIMEOUT).status_code == 200

        for path, how in {"/": "ro", "/models": "ro", "/etc/fastmar": "ro", "/tmp": "rw", "/run": "rw"}.items():
            assert pod.run(["grep", "--quiet", f"^[^ ]* {path} [^ ]* {how}[, ]", "/proc/mounts"]), path

        assert pod.run([*JAVA, "-STOP"])  # it hangs
        assert not pod.probe("readinessProbe")
        assert not pod.probe("livenessProbe")
        assert pod.run([*JAVA, "-CONT"])
        wait_for(lambda: pod.probe("livenessProbe"))

        pod.crash()  # the volumes keep the files of the killed container, including the ready file
        assert not pod.probe("readinessProbe")
        pod.wait_until_started()
        assert_answers(pod, archives, WITH_KEY)

        streams = [Stream(f"{pod.url}/predictions/{TABLE}", archives.records[0]) for _ in range(STREAMS)]
        status = pod.stop()
        for stream in streams:
            stream.thread.join(TIMEOUT)
            assert stream.answered > 0
            assert not stream.lost
        assert status == 0, pod.logs()  # no SIGKILL


class Stream:
    """Sends requests over one connection until the server refuses new connections."""

    def __init__(self, url: str, record: Any) -> None:
        self.answered, self.lost = 0, ""
        self.thread = threading.Thread(target=self._send, args=(url, record), daemon=True)
        self.thread.start()

    def _send(self, url: str, record: Any) -> None:
        with requests.Session() as session:
            while True:
                try:
                    response = session.post(url, json=record, headers=WITH_KEY, timeout=TIMEOUT)
                except requests.ConnectionError as error:
                    if "refused" not in str(error):
                        self.lost = str(error)
                    return
                if response.status_code != 200:
                    self.lost = response.text
                    return
                self.answered += 1


def test_kserve_predictor_supports_both_protocols(outside: Outside, archives: Archives) -> None:
    with running_pod(template("kserve/asgi"), outside) as pod:
        pod.wait_until_started()
        assert pod.probe("readinessProbe")
        assert pod.probe("livenessProbe")
        v1 = post(f"{pod.url}/v1/models/{TABLE}:predict", {"instances": archives.records[:2]})
        assert [p["prediction"] for p in v1.json()["predictions"]] == [a["prediction"] for a in archives.answers[:2]]
        inputs = [
            {"name": name, "shape": [1], "datatype": "BYTES", "data": [value]}
            for name, value in archives.records[0].items()
        ]
        v2 = post(f"{pod.url}/v2/models/{TABLE}/infer", {"inputs": inputs})
        assert v2.status_code == 200, v2.text
        assert v2.json()["outputs"][0]["data"] == [archives.answers[0]["prediction"]]
