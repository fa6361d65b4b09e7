"""`fastmar ray package` writes the layout of AWS's image."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
import yaml

from fastmar_cli.main import main
from fastmar_runtime.engines.ray import load
from fastmar_runtime.errors import BundleError, BundleUnreadable
from fastmar_serving.errors import ArchiveRefused, ConfigRefused
from fastmar_serving.ray.package import Options, package
from fastmar_serving.ray.package import config as make_config
from tests.archives import golden, tiny_archive

EXAMPLE = Path(__file__).parents[2] / "deploy/ray/config.yaml"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tiny_archive(tmp_path, "1.0")


def config(folder: Path) -> tuple[dict, dict, dict]:
    written = yaml.safe_load((folder / "config.yaml").read_text())
    [application] = written["applications"]
    [deployment] = application["deployments"]
    return written, application, deployment


def test_the_folder_has_the_layout_of_aws(archive: Path, tmp_path: Path) -> None:
    output = tmp_path / "ray"
    assert main(["ray", "package", str(archive), "-o", str(output), "--replicas", "4", "--cpus", "0.5"]) == 0
    written, application, deployment = config(output)
    assert written["http_options"] == {"host": "127.0.0.1", "port": 8080}
    assert application["import_path"] == "deployment:app"
    assert application["args"] == {"archives": {"tiny-1.0.mar": sha256(archive.read_bytes()).hexdigest()}}
    assert deployment["num_replicas"] == 4
    assert deployment["ray_actor_options"] == {"num_cpus": 0.5}
    lines = (output / "code/requirements.txt").read_text().split()
    names = {line.strip("<>=,.0123456789") for line in lines}
    assert names == {"numpy", "onnxruntime", "orjson", "pillow"}
    assert (output / "tiny-1.0.mar").read_bytes() == archive.read_bytes()


def test_autoscaling(archive: Path, tmp_path: Path) -> None:
    package([archive], tmp_path / "ray", Options(replicas=2, max_replicas=6, target_requests=8))
    deployment = config(tmp_path / "ray")[2]
    assert "num_replicas" not in deployment
    assert deployment["autoscaling_config"] == {"min_replicas": 2, "max_replicas": 6, "target_ongoing_requests": 8}
    with pytest.raises(ConfigRefused) as refused:
        package([archive], tmp_path / "ray", Options(replicas=2, max_replicas=1))
    assert refused.value.code == "incomplete_scaling"


@pytest.mark.parametrize("name", ["model.tar.gz", "model.zip"])
def test_packed_outputs_have_the_same_files_in_their_root(archive: Path, tmp_path: Path, name: str) -> None:
    output = tmp_path / name
    package([archive], output, Options())
    if name.endswith(".zip"):
        names = set(zipfile.ZipFile(output).namelist())
    else:
        with tarfile.open(output) as tar:
            names = {member.removeprefix("./") for member in tar.getnames()}
    assert {"config.yaml", "deployment.py", "code/requirements.txt", "tiny-1.0.mar"} <= names


def test_the_newest_version_comes_first_and_duplicates_are_refused(archive: Path, tmp_path: Path) -> None:
    newer = tiny_archive(tmp_path, "1.10")
    again = tiny_archive(tmp_path, "1.10", file="again.mar")
    package([archive, newer], tmp_path / "ray", Options())
    assert list(config(tmp_path / "ray")[1]["args"]["archives"]) == ["tiny-1.10.mar", "tiny-1.0.mar"]
    with pytest.raises(ArchiveRefused) as refused:
        package([newer, again], tmp_path / "other", Options())
    assert refused.value.code == "duplicate_version"


def test_an_output_that_is_not_writable(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigRefused) as refused:
        package([archive], tmp_path / "file", Options())
    assert refused.value.code == "output_not_writable"


def test_the_folder_answers_with_its_own_runtime(archive: Path, tmp_path: Path) -> None:
    """The folder's runtime answers a record, even if another one is installed."""
    package([archive], tmp_path / "ray", Options())
    records, answers = golden(archive)
    code = f"""
import asyncio, json, sys
sys.path.insert(0, {str(tmp_path / "ray")!r})
import fastmar_contract, fastmar_runtime
from fastmar_runtime.engines.ray import load
import yaml, pathlib
folder = pathlib.Path({str(tmp_path / "ray")!r})
assert all(folder in pathlib.Path(m.__file__).parents for m in (fastmar_contract, fastmar_runtime))
app = load(folder, yaml.safe_load((folder / "config.yaml").read_text())["applications"][0]["args"]["archives"])
async def ask(path):
    body, sent = json.dumps({records[0]!r}).encode(), []
    async def receive(): return {{"type": "http.request", "body": body}}
    async def send(message): sent.append(message)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    scope = {{"type": "http", "scheme": "http", "method": "POST", "path": path, "query_string": b""}}
    await app(scope | {{"headers": headers}}, receive, send)
    assert b"x-request-id" not in dict(sent[0]["headers"])
    return sent[1]["body"].decode()
# AWS's image forwards /invocations to /.
assert asyncio.run(ask("/")) == asyncio.run(ask("/invocations"))
print(asyncio.run(ask("/")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert '"prediction":"' + answers[0]["prediction"] in done.stdout


def test_the_example_in_deploy_is_what_the_command_writes() -> None:
    [comment, *_] = EXAMPLE.read_text().splitlines()
    digests = {"flights-1.0.mar": "SHA-256 of the archive"}
    options = Options(replicas=2, max_replicas=8, host="0.0.0.0")
    assert yaml.safe_load(EXAMPLE.read_text()) == make_config(digests, options)
    assert "--replicas 2 --max-replicas 8 --host 0.0.0.0" in comment


def test_another_file_and_an_invalid_key_are_refused(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BundleUnreadable) as refused:
        load(tmp_path, {archive.name: "0" * 64})
    assert refused.value.code == "bundle_damaged"
    with pytest.raises(BundleUnreadable) as refused:
        load(tmp_path, {"missing.mar": "0" * 64})
    assert refused.value.code == "bundle_not_found"
    (tmp_path / "key").write_text("short")
    monkeypatch.setenv("FASTMAR_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(BundleError) as invalid:
        load(tmp_path, {archive.name: sha256(archive.read_bytes()).hexdigest()})
    assert invalid.value.code == "invalid_key"
