"""The sample pictures of an archive, from each engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from fastmar_cli.main import main
from fastmar_client import Client, ModelNotFound
from fastmar_export.archive import write_archive
from fastmar_export.bundle import Bundle
from fastmar_runtime.golden import OUTPUT, GoldenRecords
from fastmar_serving.testing import RunningServer
from tests.archives import tiny_archive
from tests.engines import Engine
from tests.runtime import tiny_pictures

SAMPLES = (tiny_pictures.picture(), tiny_pictures.encoded(tiny_pictures.noise(seed=7)))


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a picture model that has samples, and a tabular model."""
    store = tmp_path_factory.mktemp("sampled")
    tiny_archive(store)
    predictor = tiny_pictures.predictor()
    records = [{"image": tiny_pictures.b64(SAMPLES[0])}]
    inputs, _ = predictor.preprocess(records)
    golden = GoldenRecords(records, predictor.predict(records), {**inputs, OUTPUT: predictor.run(inputs)})
    write_archive(Bundle(predictor.spec, tiny_pictures.graph(), golden, samples=SAMPLES), store)
    return store


@pytest.fixture(scope="module")
def running(engine: Engine, sampled: Path) -> Iterator[RunningServer]:
    with engine.serve(sampled) as server:
        yield server


@pytest.mark.parametrize("version", [None, "1.0"])
def test_samples_are_pictures_that_the_model_answers(running: RunningServer, version: str | None) -> None:
    with Client(running.url) as client:
        assert client.samples("colours", version) == list(SAMPLES)
        assert client.samples("tiny", version) == []
        assert client.predict("colours", client.samples("colours")[0])["prediction"]
        with pytest.raises(ModelNotFound):
            client.samples("nothing")


def test_the_schema_does_not_contain_them(running: RunningServer) -> None:
    url = f"{running.url}/predictions/colours"
    document = requests.get(f"{url}/samples", timeout=30)
    assert document.json() == {"samples": [{"image": {"b64": tiny_pictures.b64(data)}} for data in SAMPLES]}
    assert requests.get(f"{url}/1.0/samples", timeout=30).content == document.content
    assert tiny_pictures.b64(SAMPLES[0]) not in requests.get(f"{url}/schema", timeout=30).text


def test_inspect_says_that_there_are_samples(sampled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(sampled / "colours.mar"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == len(SAMPLES)
    [other] = [path for path in sampled.glob("*.mar") if path.name != "colours.mar"]
    assert main(["inspect", str(other), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 0
