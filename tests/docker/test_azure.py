"""The container under Azure Machine Learning's contract for custom containers: mount, variable, three routes.

Reference: Microsoft, "Use a custom container to deploy a model to an online endpoint".
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.docker.clouds import (
    IMAGES,
    Container,
    Streams,
    container,
    docker,
    environment,
    mounted,
    picture_archive,
    table_archive,
)
from tests.runtime import tiny, tiny_pictures

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("image")]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "deployment" / "azure.md"
RECORDS = [tiny.record(age=20 + n) for n in range(5)]
MOUNT = "/var/azureml-app/azureml-models/tiny/1"
VARIABLES = {"AZUREML_MODEL_DIR": MOUNT, "AZUREML_ENTRY_SCRIPT": ""}


def documented_routes() -> dict[str, str]:
    """The routes of the deployment in the documentation."""
    text = PAGE.read_text("utf-8")
    block = next(part for part in text.split("```yaml\n")[1:] if "inference_config" in part).split("```")[0]
    routes = yaml.safe_load(block)["environment"]["inference_config"]
    assert {route["port"] for route in routes.values()} == {8080}
    return {name: route["path"] for name, route in routes.items()}


ROUTES = documented_routes()
LIVE, READY, SCORE = ROUTES["liveness_route"], ROUTES["readiness_route"], ROUTES["scoring_route"]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tables")
    table_archive(folder)
    return folder


@pytest.fixture(scope="module")
def endpoint(tables: Path) -> Iterator[Container]:
    with container(*mounted(tables, MOUNT), *environment(VARIABLES)) as running:
        running.wait(READY)
        yield running


def test_liveness_before_readiness_and_drain_after_sigterm(each_image: str, tables: Path) -> None:
    """Azure restarts containers that fail liveness checks. The archives are in a registered folder.

    TorchServe answers while models load; connections to the asgi engine wait for its workers.
    """
    with container(*mounted(tables, f"{MOUNT}/model_store"), *environment(VARIABLES), image=each_image) as running:
        alive_before_ready, end = False, time.monotonic() + 60
        while time.monotonic() < end and running.running:
            try:
                live, ready = running.get(LIVE, timeout=2).status, running.get(READY, timeout=2).status
            except (OSError, http.client.HTTPException):
                time.sleep(0.2)
                continue
            assert live == 200
            alive_before_ready |= ready == 503
            if ready == 200:
                break
        assert alive_before_ready == (each_image == IMAGES["torchserve"])
        streams = Streams(running, SCORE, json.dumps(RECORDS).encode())
        with streams.running(8):
            docker("stop", "--time", "30", running.id)
        assert set(streams.outcomes) == {"200"}
        assert running.exit_code == 0


def test_probes(endpoint: Container) -> None:
    assert endpoint.get(LIVE).status == 200
    assert endpoint.get(READY).status == 200


def test_answers_have_the_format_of_the_request(endpoint: Container) -> None:
    expected = tiny.predictor().predict(RECORDS)
    assert endpoint.post_json(SCORE, RECORDS[0]).json() == expected[0]
    assert endpoint.post_json(SCORE, RECORDS).json() == expected
    assert endpoint.post_json(SCORE, {"instances": RECORDS}).json() == {"predictions": expected}


def test_invalid_record_has_status_400(endpoint: Container) -> None:
    answer = endpoint.post_json(SCORE, tiny.record(age="old"))
    assert (answer.status, answer.json()["error"]["field"]) == (400, "age")


def test_ignores_the_key_of_azure(endpoint: Container) -> None:
    headers = {"Authorization": "Bearer azures-own", "azureml-model-deployment": "blue"}
    assert endpoint.post(SCORE, json.dumps(RECORDS[0]).encode(), "application/json", headers).status == 200


def test_several_models_have_their_own_paths(tables: Path, tmp_path: Path) -> None:
    table_archive(tmp_path)
    picture_archive(tmp_path)
    with container(*mounted(tmp_path, MOUNT), *environment(VARIABLES)) as running:
        running.wait(READY)
        assert running.post_json("/predictions/tiny", RECORDS[0]).status == 200
        photo = running.post("/predictions/colours", tiny_pictures.picture("red", kind="JPEG"), "image/jpeg")
        assert photo.json()["prediction"] == "red"
        assert running.post_json(SCORE, RECORDS[0]).status == 404
