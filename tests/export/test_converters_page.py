"""The package in docs/converters.md is installed with pip, and a learner with its transform is exported and served."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fastmar_client import Client
from fastmar_serving.testing import running_server

PAGE = Path(__file__).resolve().parents[2] / "docs" / "converters.md"
BUILD = """
[build-system]
requires = ["setuptools>=70"]
build-backend = "setuptools.build_meta"
"""
TRAIN = """
import json
import pandas as pd
from fastai.tabular.all import *
from shop import Clip

columns = {"price": [1.0, 5.0, 20.0, 300.0], "size": list("abca"), "sold": [0.5, 1.0, 2.0, 4.0]}
table = pd.DataFrame({name: values * 16 for name, values in columns.items()})
data = TabularPandas(table, [Clip(["price"], 2.0, 50.0), Categorify, FillMissing, Normalize], ["size"], ["price"],
                     y_names="sold", splits=(list(range(48)), list(range(48, 64))))
learn = tabular_learner(data.dataloaders(bs=16), layers=[8], y_range=(0, 5))
with learn.no_bar(), learn.no_logging():
    learn.fit(2)
    learn.export("learner.pkl")
    records = [{"price": price, "size": "a"} for price in (0.0, 2.0, 10.0, 50.0, 1e6)]
    answers = [float(learn.predict(pd.Series(record))[2][0]) for record in records]
print(json.dumps([records, answers]))
"""


def run(*words: str | Path, path: list[Path], folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.torchserve
def test_learner_with_the_package_of_the_page_is_exported_and_served(tmp_path: Path) -> None:
    package, site, users = tmp_path / "package", tmp_path / "site", tmp_path / "users"
    users.mkdir()
    files = dict(re.findall(r'^```\w+ title="([^"]+)"\n(.*?)^```', PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL))
    assert set(files) == {"shop.py", "shop_fastmar/steps/clip.py", "shop_fastmar_export.py", "pyproject.toml"}
    (users / "shop.py").write_text(files.pop("shop.py"))
    for name, text in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text + (BUILD if name == "pyproject.toml" else ""))
    pip = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", site]
    run(*pip, package, path=[], folder=tmp_path)
    records, expected = json.loads(run("-c", TRAIN, path=[users], folder=tmp_path))
    assert len(set(expected)) == 3, "the limits matter"

    run("-m", "fastmar_cli.main", "export", "learner.pkl", "--name", "shop", path=[site], folder=tmp_path)
    run(
        "-m",
        "fastmar_cli.main",
        "verify",
        "model_store/shop.mar",
        "--learner",
        "learner.pkl",
        path=[site, users],
        folder=tmp_path,
    )
    with running_server(tmp_path / "model_store") as server:
        answers = Client(server.url).predict("shop", records)
    assert [answer["prediction"] for answer in answers] == pytest.approx(expected, abs=1e-5)
