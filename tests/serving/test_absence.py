"""Serving and export without fastai and other packages, which are blocked."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.docker.archives import write_version
from tests.engines import Engine, needs, workers
from tests.engines.calls import OLD, prediction

BLOCKER = """
from importlib.machinery import PathFinder

find = PathFinder.find_spec

def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in {blocked!r} else find(name, path, target)

PathFinder.find_spec = find_spec
"""


def python_without(folder: Path, blocked: set[str]) -> str:
    """A virtual environment with this one's packages, except the blocked ones."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    printed = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    packages = Path(printed.stdout.strip())
    (packages / "blocker.py").write_text(BLOCKER.format(blocked=blocked))
    outer = sysconfig.get_path("purelib")
    (packages / "outer.pth").write_text(f"import blocker\nimport site; site.addsitedir({outer!r})\n")
    return str(python)


@needs("launcher")
def test_server_needs_no_torch_fastai_or_pandas(engine: Engine, tmp_path: Path) -> None:
    """Its archive has a profile, so that the workers count; they don't need what `fastmar drift` does."""
    monitoring = {"scipy", "pyarrow", "fsspec"}
    python = python_without(tmp_path / "venv", {"torch", "fastai", "fastcore", "torchvision", "pandas", *monitoring})
    blocked = subprocess.run([python, "-c", "import pandas"], capture_output=True, text=True, check=False)
    assert "No module named 'pandas'" in blocked.stderr
    write_version(tmp_path / "store", "1.0")
    profiles = tmp_path / "profiles"
    command = [python, "-m", "fastmar_cli.main"]
    with engine.serve(tmp_path / "store", "--workers", "1", "--profiles", str(profiles), command=command) as server:
        assert prediction(server, key=None) == OLD
        [worker] = workers(server)
        loaded = Path(f"/proc/{worker.pid}/maps").read_text()
    assert "onnxruntime" in loaded
    assert not [name for name in ("scipy", "pyarrow") if f"/{name}/" in loaded]
    assert [path.stat().st_size > 0 for path in profiles.iterdir()] == [True]


@pytest.mark.training  # slow, since it installs an environment
def test_export_and_predict_need_no_fastai(cookbook: Path, tmp_path: Path) -> None:
    python = python_without(tmp_path / "venv", {"fastai", "fastcore", "torchvision", "pandas", "ts", "requests"})
    learner, rows = cookbook / "adult_sample_model.pkl", cookbook / "adult_sample_test.csv"
    fastmar = [python, "-m", "fastmar_cli.main"]
    command = [*fastmar, "export", str(learner), "--name", "adult", "--output", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    command = [*fastmar, "predict", str(tmp_path / "adult.mar"), str(rows), "--json"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True)
    assert printed.stderr == ""
    answers = [json.loads(line) for line in printed.stdout.splitlines()]
    expected = json.loads((cookbook / "adult_sample_predictions.json").read_text())["predictions"]
    assert [answer["prediction"] for answer in answers] == [e["label"] for e in expected]
    for answer, e in zip(answers, expected, strict=True):
        assert list(answer["probabilities"].values()) == pytest.approx(e["probabilities"], abs=1e-5)
