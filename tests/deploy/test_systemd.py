"""deploy/systemd/fastmar.service: its options, how it stops, and its command with a real server."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from fastmar_serving.testing import running_server
from tests.archives import tiny_archive
from tests.deploy.manifests import DEPLOY

UNIT = DEPLOY / "systemd/fastmar.service"
SETTINGS = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE))
PROGRAM, *COMMAND = shlex.split(SETTINGS["ExecStart"])
DRAIN, END = 30, 10  # seconds: default of --drain-timeout, and for the engine to end


def test_systemd_accepts_it(tmp_path: Path) -> None:
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("systemd is not installed")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace(PROGRAM, sys.executable))
    result = subprocess.run([verify, "verify", unit], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_only_the_main_process_drains_and_has_time_to() -> None:
    assert SETTINGS["KillMode"] == "mixed"
    assert int(SETTINGS["TimeoutStopSec"]) > DRAIN + END


@pytest.mark.asgi
def test_its_command_serves_with_the_key(tmp_path: Path) -> None:
    """In other folders, and on other ports."""
    key, store = tmp_path / "inference.key", tmp_path / "models"
    key.write_text("k" * 64)
    tiny_archive(store, "1.0")
    places = {"/var/lib/fastmar/models": store, "/run/fastmar": tmp_path / "run", "/etc/fastmar/inference.key": key}
    assert COMMAND[0] == "serve"
    assert places.keys() <= {*COMMAND}
    options = [str(places.get(word, word)) for word in COMMAND[1:]]
    at = options.index("--model-store")
    del options[at : at + 2]
    with running_server(store, *options) as server:
        url = f"{server.url}/models/tiny"
        assert requests.get(url, timeout=60).status_code == 401
        allowed = requests.get(url, headers={"Authorization": f"Bearer {'k' * 64}"}, timeout=60)
        assert allowed.status_code != 401
        assert server.stop() == 0
