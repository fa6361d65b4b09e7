"""What clouds promise, as settings: a table of environments and folders, and what comes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastmar_cli.commands import serve
from fastmar_serving.torchserve import platforms
from fastmar_serving.torchserve.config import Settings
from fastmar_serving.torchserve.errors import ConfigRefused
from fastmar_serving.torchserve.platforms import Platform, choose, detect

VERTEX = {
    "AIP_HTTP_PORT": "7080",
    "AIP_HEALTH_ROUTE": "/v1/endpoints/123/deployedModels/456",
    "AIP_PREDICT_ROUTE": "/v1/endpoints/123/deployedModels/456:predict",
}
IN_IMAGE = Settings(model_store=Path("/models"), host="0.0.0.0", metrics_host="0.0.0.0")


def store(root: Path, folder: str, *names: str) -> Path:
    path = root / folder.lstrip("/")
    path.mkdir(parents=True)
    for name in names:
        (path / name).touch()
    return path


def found(environ: dict[str, str], root: Path) -> Platform:
    platform = detect(environ, root)
    assert platform is not None
    return platform


def test_nothing_is_detected_on_a_machine_of_ones_own(tmp_path: Path) -> None:
    assert detect({"AIP_STORAGE_URI": "gs://somewhere", "PORT": "80"}, tmp_path) is None
    assert choose("auto", {}, tmp_path) is None


def test_none_overrides_what_would_be_detected(tmp_path: Path) -> None:
    assert choose("none", VERTEX, tmp_path) is None


@pytest.mark.parametrize("name", ["sagemaker", "vertex", "azureml"])
def test_each_can_be_named_where_it_is_not_detected(name: str, tmp_path: Path) -> None:
    platform = choose(name, {}, tmp_path)
    assert platform is not None
    assert platform.name == name
    settings = platform.apply(IN_IMAGE)
    assert (settings.model_store, settings.host, settings.port, settings.needs_tokens) == (
        Path("/models"),
        "0.0.0.0",
        8080,
        False,
    )


def test_serve_offers_the_same_platforms() -> None:
    assert serve.PLATFORMS == platforms.CHOICES


class TestSageMaker:
    def test_is_known_by_its_folder(self, tmp_path: Path) -> None:
        folder = store(tmp_path, "/opt/ml/model", "flights.mar")
        platform = found({}, tmp_path)
        assert platform.title == "SageMaker"
        assert (platform.health_routes, platform.routes(["flights"])) == (("/ping",), {"/invocations": "flights"})
        settings = platform.apply(IN_IMAGE)
        assert (settings.model_store, settings.host, settings.port) == (folder, "0.0.0.0", 8080)
        assert not settings.needs_tokens
        assert settings.metrics_host == "127.0.0.1"

    def test_gives_the_port_where_several_containers_share_an_instance(self, tmp_path: Path) -> None:
        store(tmp_path, "/opt/ml/model", "flights.mar")
        assert found({"SAGEMAKER_BIND_TO_PORT": "14000"}, tmp_path).apply(IN_IMAGE).port == 14000

    def test_stops_well_before_it_is_killed(self, tmp_path: Path) -> None:
        store(tmp_path, "/opt/ml/model", "flights.mar")
        assert found({}, tmp_path).apply(IN_IMAGE).drain_timeout < 30

    def test_a_folder_that_was_packed_with_the_archives_is_found(self, tmp_path: Path) -> None:
        inner = store(tmp_path, "/opt/ml/model/model_store", "flights.mar")
        assert found({}, tmp_path).apply(IN_IMAGE).model_store == inner

    def test_an_empty_folder_leaves_the_archives_of_the_image(self, tmp_path: Path) -> None:
        store(tmp_path, "/opt/ml/model")
        assert found({}, tmp_path).apply(IN_IMAGE).model_store == Path("/models")

    def test_a_folder_without_archives_is_not_passed_over(self, tmp_path: Path) -> None:
        """The error that follows names the folder that is wrong."""
        folder = store(tmp_path, "/opt/ml/model", "model.pth")
        assert found({}, tmp_path).apply(IN_IMAGE).model_store == folder

    def test_several_versions_are_one_model_several_models_are_refused(self, tmp_path: Path) -> None:
        store(tmp_path, "/opt/ml/model", "a.mar")
        platform = found({}, tmp_path)
        assert platform.routes(["a", "a"]) == {"/invocations": "a"}
        with pytest.raises(ConfigRefused, match="2 models: a, b"):
            platform.routes(["b", "a"])


class TestVertex:
    def test_is_known_by_its_port_and_names_its_routes(self, tmp_path: Path) -> None:
        platform = found(VERTEX, tmp_path)
        assert platform.title == "Vertex AI"
        assert platform.health_routes == (VERTEX["AIP_HEALTH_ROUTE"],)
        assert platform.routes(["flights"]) == {VERTEX["AIP_PREDICT_ROUTE"]: "flights"}
        settings = platform.apply(IN_IMAGE)
        assert (settings.port, settings.model_store, settings.needs_tokens) == (7080, Path("/models"), False)

    def test_one_route_for_two_purposes_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigRefused, match="both /x"):
            detect({"AIP_HTTP_PORT": "80", "AIP_HEALTH_ROUTE": "/x", "AIP_PREDICT_ROUTE": "/x"}, tmp_path)

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"AIP_HTTP_PORT": "http"}, "AIP_HTTP_PORT is 'http'"),
            ({"AIP_HTTP_PORT": "70000"}, "no port"),
            ({"AIP_PREDICT_ROUTE": "predict"}, "AIP_PREDICT_ROUTE is 'predict'"),
        ],
    )
    def test_what_can_not_be_is_named(self, changes: dict[str, str], said: str, tmp_path: Path) -> None:
        with pytest.raises(ConfigRefused, match=said):
            detect(VERTEX | changes, tmp_path)


class TestAzureML:
    def test_is_known_by_its_folder(self, tmp_path: Path) -> None:
        folder = store(tmp_path, "/var/azureml-app/azureml-models/flights/1", "flights.mar")
        platform = found({"AZUREML_MODEL_DIR": "/var/azureml-app/azureml-models/flights/1"}, tmp_path)
        assert platform.title == "Azure ML"
        assert platform.apply(IN_IMAGE).model_store == folder
        assert platform.routes(["flights"]) == {"/score": "flights"}

    def test_a_registered_folder_is_one_level_below(self, tmp_path: Path) -> None:
        inner = store(tmp_path, "/var/azureml-app/azureml-models/flights/1/model_store", "flights.mar")
        platform = found({"AZUREML_MODEL_DIR": "/var/azureml-app/azureml-models/flights/1"}, tmp_path)
        assert platform.apply(IN_IMAGE).model_store == inner

    def test_several_folders_are_refused_where_one_alone_would_be_served(self, tmp_path: Path) -> None:
        for name in ("b", "a"):
            store(tmp_path, f"/models/{name}", f"{name}.mar")
        with pytest.raises(ConfigRefused, match="several folders: a, b"):
            detect({"AZUREML_MODEL_DIR": "/models"}, tmp_path)

    def test_several_models_are_asked_by_their_own_paths(self, tmp_path: Path) -> None:
        assert found({"AZUREML_MODEL_DIR": "/models"}, tmp_path).routes(["a", "b"]) == {}


def test_the_command_line_wins(tmp_path: Path) -> None:
    platform = found(VERTEX, tmp_path)
    settings = platform.apply(Settings(port=9000, host="127.0.0.1", tokens=True), given={"port", "tokens"})
    assert (settings.port, settings.host, settings.needs_tokens) == (9000, "0.0.0.0", True)


def test_what_a_platform_does_not_decide_stays(tmp_path: Path) -> None:
    settings = found(VERTEX, tmp_path).apply(Settings(workers=3, ready_timeout=7, models=["a"]))
    assert (settings.workers, settings.ready_timeout, settings.models) == (3, 7, ["a"])


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path, "/opt/ml/model", "flights.mar")

    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(ConfigRefused, match="can't be read: Permission denied"):
        detect({}, tmp_path)
