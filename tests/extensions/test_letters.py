"""An installed package adds a modality, a kind of answer and a step; export, server, client and form use them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from fastmar_client import Client, RecordRefused
from fastmar_serving.testing import RunningServer
from fastmar_web.app import create_app
from fastmar_web.backend import Backend
from fastmar_web.settings import Settings
from tests.engines import TORCHSERVE

PACKAGE = Path(__file__).parent / "letters"
LETTERS = """
from string import ascii_lowercase
from fastai.data.all import Transform, tensor


class LetterCounts(Transform):
    def encodes(self, text: str):
        return tensor([float(text.lower().count(letter)) for letter in ascii_lowercase])


class VowelsMinusOthers(Transform):
    def encodes(self, text: str):
        return tensor(float(sum(1 if letter in "aeiou" else -1 for letter in text.lower() if letter.isalpha())))
"""
TRAIN = """
import json
import fastai.callback.progress
from fastai.data.all import Datasets
from fastai.learner import Learner
from fastai.losses import MSELossFlat
from torch import nn
from letters import LetterCounts, VowelsMinusOthers

texts = ["aeiou", "xyz", "banana", "queue", "rhythm", "audio", "Strength", "idea"] * 8
data = Datasets(texts, [[LetterCounts()], [VowelsMinusOthers()]], splits=[list(range(48)), list(range(48, 64))])
learn = Learner(data.dataloaders(bs=16), nn.Linear(26, 1), loss_func=MSELossFlat())
with learn.no_bar(), learn.no_logging():
    learn.fit(30, 0.05)
    learn.export("learner.pkl")
    inputs = ["aei", "Trust", "ooo", "zzz", ""]
    print(json.dumps([[text, float(learn.predict(text)[2]) > 0] for text in inputs]))
"""

pytestmark = [pytest.mark.torchserve, pytest.mark.training]


def run(*arguments: str | Path, path: list[Path], folder: Path, status: int = 0) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stderr if status else done.stdout


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, bool]]:
    """The folder with the archive, the folder with the installed package, and fastai's answers."""
    folder = tmp_path_factory.mktemp("letters")
    site, users = folder / "site", folder / "users"
    users.mkdir()
    (users / "letters.py").write_text(LETTERS)
    shutil.copytree(PACKAGE, folder / "package")  # building leaves files there
    pip = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", site]
    run(*pip, folder / "package", path=[], folder=folder)
    answers = dict(json.loads(run("-c", TRAIN, path=[users], folder=folder)))
    assert set(answers.values()) == {True, False}
    run("-m", "fastmar_cli.main", "export", "learner.pkl", "--name", "letters", path=[site], folder=folder)
    return folder, site, answers


@pytest.fixture(scope="module")
def server(exported: tuple[Path, Path, Any]) -> Iterator[RunningServer]:
    """A server with the archive, without the installed package."""
    with TORCHSERVE.serve(exported[0] / "model_store") as running:
        yield running


def test_answers_agree_with_fastai(server: RunningServer, exported: tuple[Path, Path, dict[str, bool]]) -> None:
    client, (_, _, answers) = Client(server.url), exported
    assert client.schema("letters")["kind"] == "letters"
    found = client.predict("letters", [{"text": text} for text in answers])
    assert [answer["prediction"] for answer in found] == list(answers.values())
    with pytest.raises(RecordRefused) as caught:
        client.predict("letters", {"words": "none"})
    assert (caught.value.code, caught.value.field) == ("not_a_text", "text")


def test_protocol_v2_and_documents(server: RunningServer, exported: tuple[Path, Path, dict[str, bool]]) -> None:
    text, expected = next(iter(exported[2].items()))
    tensors = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}]}
    reply = requests.post(f"{server.url}/v2/models/letters/infer", json=tensors, timeout=30).json()
    assert [(each["name"], each["datatype"], each["data"]) for each in reply["outputs"]] == [
        ("prediction", "BOOL", [expected])
    ]
    page = requests.get(f"{server.url}/predictions/letters/1.0/docs", timeout=30).text
    assert "A text: <code>" in page


def test_the_form(server: RunningServer, exported: tuple[Path, Path, dict[str, bool]]) -> None:
    settings = Settings(url=server.url)
    app = create_app(settings, Backend(settings))
    browser = app.test_client()
    page = browser.get("/models/letters").text
    [name] = re.findall(r'<(?:input|textarea)[^>]* name="([^"]*text[^"]*)"', page)
    for text, expected in list(exported[2].items())[:2]:
        page = browser.post("/models/letters", data={name: text}).text
        assert f"Vowels: {'yes' if expected else 'no'}" in page or f"Prediction: {'yes' if expected else 'no'}" in page
    app.extensions["fastmar_jobs"].close()


def test_the_archive_needs_the_installed_package(exported: tuple[Path, Path, Any]) -> None:
    folder, site, answers = exported
    (folder / "text.json").write_text(json.dumps({"text": next(iter(answers))}))
    predict = ("-m", "fastmar_cli.main", "predict", "model_store/letters.mar", "text.json", "--json")
    assert json.loads(run(*predict, path=[site], folder=folder))["prediction"] is next(iter(answers.values()))
    error = run(*predict, path=[], folder=folder, status=1)
    assert "BundleUnreadable" in error
    assert "'sign'" in error
