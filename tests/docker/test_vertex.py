"""The container under Vertex AI's contract: variables, routes and bodies; the archive is part of the image.

Reference: Google, "Custom container requirements for prediction", and the reference of ModelContainerSpec.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.docker.clouds import (
    IMAGES,
    Container,
    Streams,
    container,
    docker,
    environment,
    picture_archive,
    table_archive,
)
from tests.runtime import tiny, tiny_pictures

pytestmark = [pytest.mark.docker, pytest.mark.usefixtures("image")]

RECORDS = [tiny.record(age=20 + n) for n in range(5)]
PORT = 7080
HEALTH = "/v1/endpoints/123/deployedModels/456"
PREDICT = f"{HEALTH}:predict"
# All variables of Vertex AI.
VARIABLES = {
    "AIP_ACCELERATOR_TYPE": "",
    "AIP_DEPLOYED_MODEL_ID": "456",
    "AIP_ENDPOINT_ID": "123",
    "AIP_FRAMEWORK": "CUSTOM_CONTAINER",
    "AIP_HEALTH_ROUTE": HEALTH,
    "AIP_HTTP_PORT": str(PORT),
    "AIP_MACHINE_TYPE": "n1-standard-2",
    "AIP_MODE": "PREDICTION",
    "AIP_MODE_VERSION": "1.0.0",
    "AIP_PREDICT_ROUTE": PREDICT,
    "AIP_PROJECT_NUMBER": "789",
    "AIP_STORAGE_URI": "",
}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "deployment" / "vertex.md"


def build_model_image(folder: Path, name: str, image: str = IMAGES["asgi"]) -> str:
    """Build an image with the archives of a folder, as documented."""
    dockerfile = PAGE.read_text("utf-8").split("```dockerfile\n")[1].split("```")[0]
    assert dockerfile.startswith("FROM fastmar:latest\n")
    (folder / "Dockerfile").write_text(dockerfile.replace("fastmar:latest", image))
    docker("build", "--quiet", "--tag", name, str(folder))
    return name


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("baked")
    table_archive(folder)
    return folder


@pytest.fixture(scope="module")
def tables(image: str, store: Path) -> Iterator[str]:
    yield build_model_image(store, "fastmar-test-vertex:tables")
    docker("rmi", "--force", "fastmar-test-vertex:tables")


@pytest.fixture(scope="module")
def endpoint(tables: str) -> Iterator[Container]:
    with container(*environment(VARIABLES), image=tables, port=PORT) as running:
        running.wait(HEALTH)
        yield running


def test_health_route(endpoint: Container) -> None:
    assert endpoint.get(HEALTH).status == 200


def test_instances_become_predictions_in_order(endpoint: Container) -> None:
    answer = endpoint.post_json(PREDICT, {"instances": RECORDS})
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert answer.json() == {"predictions": tiny.predictor().predict(RECORDS)}


def test_parameters_beside_instances_do_no_harm(endpoint: Container) -> None:
    answer = endpoint.post_json(PREDICT, {"instances": RECORDS[:1], "parameters": {"confidence": 0.5}})
    assert len(answer.json()["predictions"]) == 1


def test_a_bad_instance_has_its_error_in_its_place(endpoint: Container) -> None:
    """As many predictions as instances: Vertex AI's batch prediction counts on it."""
    answer = endpoint.post_json(PREDICT, {"instances": [RECORDS[0], tiny.record(age="old"), RECORDS[1]]})
    assert answer.status == 200
    assert [("error" in one) for one in answer.json()["predictions"]] == [False, True, False]


def test_nothing_but_bad_instances_is_400(endpoint: Container) -> None:
    answer = endpoint.post_json(PREDICT, {"instances": [tiny.record(age="old")]})
    assert answer.status == 400
    assert answer.json()["predictions"][0]["error"]["field"] == "age"


def test_rawpredict_returns_the_format_of_the_request(endpoint: Container) -> None:
    body = b"".join(json.dumps(record).encode() + b"\n" for record in RECORDS)
    assert len(endpoint.post(PREDICT, body, "application/jsonlines").lines()) == 5


@pytest.mark.parametrize(("size", "status"), [(1_500_000, 200), (10_000_000, 200), (17_000_000, 413)])
def test_limit_of_the_body_size(endpoint: Container, size: int, status: int) -> None:
    body = json.dumps({"instances": RECORDS}).encode()
    assert endpoint.post(PREDICT, body + b" " * (size - len(body)), "application/json").status == status


def test_listens_on_no_other_port(endpoint: Container) -> None:
    with pytest.raises(ConnectionRefusedError):
        Container(endpoint.id, 8080).get("/ping")
    with pytest.raises(ConnectionRefusedError):
        Container(endpoint.id, 8082).get("/metrics")


def test_pictures(tmp_path: Path) -> None:
    picture_archive(tmp_path)
    try:
        name = build_model_image(tmp_path, "fastmar-test-vertex:pictures")
        with container(*environment(VARIABLES), image=name, port=PORT) as running:
            running.wait(HEALTH)
            photos: list[Any] = [
                {"image": {"b64": tiny_pictures.b64(tiny_pictures.picture(colour))}} for colour in ("red", "green")
            ]
            answers = running.post_json(PREDICT, {"instances": photos}).json()["predictions"]
            assert [answer["prediction"] for answer in answers] == ["red", "green"]
            raw = running.post(PREDICT, tiny_pictures.picture("blue", kind="JPEG"), "image/jpeg")
            assert raw.json()["prediction"] == "blue"
    finally:
        docker("rmi", "--force", "fastmar-test-vertex:pictures")


def test_configured_routes_and_drain_after_sigterm(each_image: str, store: Path) -> None:
    name = build_model_image(store, "fastmar-test-vertex:each", each_image)
    chosen = VARIABLES | {"AIP_HEALTH_ROUTE": "/health", "AIP_PREDICT_ROUTE": "/predict", "AIP_HTTP_PORT": "8080"}
    with container(*environment(chosen), image=name) as running:
        assert running.wait("/health") == ([503, 200] if each_image == IMAGES["torchserve"] else [200])
        streams = Streams(running, "/predict", json.dumps({"instances": RECORDS}).encode())
        with streams.running(8):
            docker("stop", "--time", "30", running.id)
        assert set(streams.outcomes) == {"200"}
        assert running.exit_code == 0
    docker("rmi", "--force", name)
