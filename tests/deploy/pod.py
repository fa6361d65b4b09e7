"""A pod of a rendered manifest, run by Docker as a kubelet would run it: the same user, mounts, limits, probes, stop.

What Docker can't do is done by hand as documented for the kubelet: init containers first, an emptyDir that belongs to
root and the fsGroup, a Secret's file that only the group may read, probes at their periods, preStop before SIGTERM and
SIGKILL after the grace period.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.deploy.manifests import Manifest

Files = Mapping[str, bytes]
QUANTITIES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
NAME = "fastmar-pod-"
IMAGE = os.environ.get("FASTMAR_IMAGE", "fastmar:latest")  # `make image` builds it


def docker(*arguments: str, content: bytes = b"", check: bool = True) -> str:
    """Run a docker command, and return its output on both streams."""
    done = subprocess.run(["docker", *arguments], input=content, capture_output=True, check=False)
    output = (done.stdout + done.stderr).decode(errors="replace").strip()
    assert done.returncode == 0 or not check, f"docker {' '.join(arguments)}: {output}"
    return output


@dataclass
class Outside:
    """Resources of a cluster that the manifests only reference.

    Attributes:
        images: an image of this machine for each that is named.
        secrets: files of each Secret.
        claims: files of each PersistentVolumeClaim, by their paths.
    """

    images: dict[str, str]
    secrets: dict[str, Files] = field(default_factory=dict)
    claims: dict[str, Files] = field(default_factory=dict)


@dataclass
class Pod:
    """A running pod; `name` is the name of its container."""

    spec: Manifest
    container: Manifest
    name: str

    @property
    def url(self) -> str:
        """The URL at which the kubelet and the Service reach it."""
        return f"http://{self._address()}:8080"

    def probe(self, name: str) -> bool:
        """Run a probe once, as the kubelet does."""
        probe = self.container[name]
        if "exec" in probe:
            return self.run(probe["exec"]["command"])
        get, ports = probe["httpGet"], {port.get("name"): port["containerPort"] for port in self.container["ports"]}
        url = f"http://{self._address()}:{ports.get(get['port'], get['port'])}{get['path']}"
        try:
            return 200 <= requests.get(url, timeout=probe["timeoutSeconds"]).status_code < 400
        except requests.RequestException:
            return False

    def wait_until_started(self) -> int:
        """Run the startup probe until it succeeds, and return the number of attempts; the error has the log."""
        probe = self.container["startupProbe"]
        for count in range(1, probe["failureThreshold"] + 1):
            if self.probe("startupProbe"):
                return count
            assert self.state()["Running"], self.logs()
            time.sleep(probe["periodSeconds"])
        raise AssertionError(self.logs())

    def run(self, command: list[str]) -> bool:
        """Run a command in the container."""
        return subprocess.run(["docker", "exec", self.name, *command], capture_output=True, check=False).returncode == 0

    def stop(self) -> int:
        """PreStop, SIGTERM, and SIGKILL after the grace period; returns the exit status."""
        began = time.monotonic()
        assert self.run(self.container["lifecycle"]["preStop"]["exec"]["command"])
        left = self.spec["terminationGracePeriodSeconds"] - (time.monotonic() - began)
        docker("stop", "--time", str(int(left)), self.name)
        status: int = self.state()["ExitCode"]
        return status

    def crash(self) -> None:
        """Kill the container as the kernel does if memory is exhausted, and restart it with the same volumes."""
        docker("kill", "--signal", "KILL", self.name)
        docker("start", self.name)

    def state(self) -> dict[str, Any]:
        """The state of the container, with its exit status."""
        state: dict[str, Any] = json.loads(docker("inspect", "--format", "{{json .State}}", self.name))
        return state

    def logs(self) -> str:
        """The output of the container."""
        return docker("logs", self.name)

    def _address(self) -> str:
        return docker("inspect", "--format", "{{.NetworkSettings.IPAddress}}", self.name)


@contextmanager
def running_pod(template: Manifest, outside: Outside) -> Iterator[Pod]:
    """Create the volumes, run the init containers, start the container; removes all of them at the end."""
    spec = template["spec"]
    name = NAME + secrets.token_hex(4)
    volumes: dict[str, str] = {}
    try:
        for volume in spec["volumes"]:
            if volume.get("emptyDir", {}).get("medium") != "Memory":
                volumes[volume["name"]] = make_volume(f"{name}-{volume['name']}", volume, spec, outside)
        for init in spec.get("initContainers", []):
            docker("run", "--rm", *flags(spec, init, volumes), *image_and_command(init, outside))
        [container] = spec["containers"]
        arguments = image_and_command(container, outside)
        docker("run", "--detach", "--name", name, *flags(spec, container, volumes), *arguments)
        yield Pod(spec, container, name)
    finally:
        docker("rm", "--force", name, check=False)
        for volume in docker("volume", "ls", "--quiet", "--filter", f"name={name}").split():
            docker("volume", "rm", volume, check=False)


def flags(spec: Manifest, container: Manifest, volumes: Mapping[str, str]) -> list[str]:
    """Options of `docker run` for a container's specification."""
    closed = {**spec.get("securityContext", {}), **container["securityContext"]}
    arguments = ["--user", f"{closed['runAsUser']}:{closed['runAsGroup']}"]
    arguments += ["--group-add", str(closed["fsGroup"])] if "fsGroup" in closed else []
    arguments += ["--read-only"] if closed["readOnlyRootFilesystem"] else []
    arguments += [word for capability in closed["capabilities"]["drop"] for word in ("--cap-drop", capability)]
    arguments += [] if closed["allowPrivilegeEscalation"] else ["--security-opt", "no-new-privileges"]
    for variable in container.get("env", []):
        arguments += ["--env", f"{variable['name']}={variable['value']}"]
    limits = container["resources"]["limits"]
    arguments += ["--cpus", str(processors(limits["cpu"])), "--memory", str(size(limits["memory"]))]
    in_memory = {v["name"]: v["emptyDir"] for v in spec["volumes"] if v["name"] not in volumes}
    for mount in container["volumeMounts"]:
        path = mount["mountPath"]
        if mount["name"] in in_memory:
            group = closed.get("fsGroup", 0)
            options = f"rw,size={size(in_memory[mount['name']]['sizeLimit'])},gid={group},mode={mode(spec)}"
            arguments += ["--tmpfs", f"{path}:{options}"]
        else:
            source = volumes[mount["name"]] + (f"-{mount['subPath']}" if "subPath" in mount else "")
            only = ",readonly" if mount.get("readOnly") else ""
            arguments += ["--mount", f"type=volume,source={source},target={path},volume-nocopy{only}"]
    return arguments


def image_and_command(container: Manifest, outside: Outside) -> list[str]:
    """The end of `docker run`: `command` takes the place of the image's entry point, `args` of its command."""
    image = outside.images[container["image"]]
    entry, *rest = [*container.get("command", []), *container.get("args", [])] or [""]
    return ["--entrypoint", entry, image, *rest] if container.get("command") else [image, *container.get("args", [])]


def make_volume(name: str, volume: Manifest, spec: Manifest, outside: Outside) -> str:
    """A volume as the kubelet creates it: an emptyDir, a Secret or a claim."""
    group = spec.get("securityContext", {}).get("fsGroup", 0)
    if "emptyDir" in volume:
        fill(name, {}, outside, f"chown 0:{group} /v && chmod {mode(spec)} /v")
    elif "secret" in volume:
        secret = volume["secret"]
        files = {item["path"]: outside.secrets[secret["secretName"]][item["key"]] for item in secret["items"]}
        fill(name, files, outside, f"chown -R 0:{group} /v && chmod {secret['defaultMode']:o} /v/*")
    else:  # one volume for each top-level folder of a claim, since Docker can't mount a part of a volume
        for path, content in outside.claims[volume["persistentVolumeClaim"]["claimName"]].items():
            folder, _, file = path.partition("/")
            fill(f"{name}-{folder}", {file: content}, outside, f"chown -R 0:{group} /v")
    return name


def fill(name: str, files: Files, outside: Outside, then: str) -> None:
    """Create a volume with files, with a container that runs as root."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    image = next(iter(outside.images.values()))
    arguments = ["run", "--rm", "--interactive", "--user", "0:0", "--entrypoint", "sh"]
    mount = ["--mount", f"type=volume,source={name},target=/v,volume-nocopy"]
    docker(*arguments, *mount, image, "-c", f"tar -x -f - -C /v && {then}", content=packed.getvalue())


def mode(spec: Manifest) -> str:
    """Mode of an emptyDir: with a fsGroup, new files belong to the group."""
    return "2777" if "fsGroup" in spec.get("securityContext", {}) else "0777"


def size(quantity: str) -> int:
    """Bytes of a quantity such as 64Mi."""
    return int(quantity[:-2]) * QUANTITIES[quantity[-2:]]


def processors(quantity: str) -> float:
    """Processors of a quantity such as 500m or 2."""
    return int(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)
