"""Detection of platforms from environment and folders, and their settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastmar_cli.commands import serve
from fastmar_serving import platforms
from fastmar_serving.errors import ConfigRefused
from fastmar_serving.platforms import Platform, choose, detect
from fastmar_serving.settings import Settings

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


def test_detects_no_platform_on_an_ordinary_machine(tmp_path: Path) -> None:
    assert detect({"AIP_STORAGE_URI": "gs://somewhere", "PORT": "80"}, tmp_path) is None
    assert choose("auto", {}, tmp_path) is None


def test_none_overrides_detection(tmp_path: Path) -> None:
    assert choose("none", VERTEX, tmp_path) is None


@pytest.mark.parametrize("name", ["sagemaker", "vertex", "azureml"])
def test_each_platform_can_be_named(name: str, tmp_path: Path) -> None:
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
    def test_detected_by_its_folder(self, tmp_path: Path) -> None:
        folder = store(tmp_path, "/opt/ml/model", "flights.mar")
        platform = found({}, tmp_path)
        assert platform.title == "SageMaker"
        assert (platform.health_routes, platform.routes(["flights"])) == (("/ping",), {"/invocations": "flights"})
        settings = platform.apply(IN_IMAGE)
        assert (settings.model_store, settings.host, settings.port) == (folder, "0.0.0.0", 8080)
        assert not settings.needs_tokens
        assert settings.metrics_host == "127.0.0.1"

    def test_port_if_several_containers_share_an_instance(self, tmp_path: Path) -> None:
        store(tmp_path, "/opt/ml/model", "flights.mar")
        assert found({"SAGEMAKER_BIND_TO_PORT": "14000"}, tmp_path).apply(IN_IMAGE).port == 14000

    def test_drain_ends_before_the_container_is_killed(self, tmp_path: Path) -> None:
        store(tmp_path, "/opt/ml/model", "flights.mar")
        assert found({}, tmp_path).apply(IN_IMAGE).drain_timeout < 30

    def test_finds_archives_one_folder_below(self, tmp_path: Path) -> None:
        inner = store(tmp_path, "/opt/ml/model/model_store", "flights.mar")
        assert found({}, tmp_path).apply(IN_IMAGE).model_store == inner

    def test_serves_the_archives_of_the_image_if_the_folder_is_empty(self, tmp_path: Path) -> None:
        store(tmp_path, "/opt/ml/model")
        assert found({}, tmp_path).apply(IN_IMAGE).model_store == Path("/models")

    def test_keeps_a_folder_without_archives(self, tmp_path: Path) -> None:
        """The later error then names this folder."""
        folder = store(tmp_path, "/opt/ml/model", "model.pth")
        assert found({}, tmp_path).apply(IN_IMAGE).model_store == folder

    def test_allows_several_versions_but_not_several_models(self, tmp_path: Path) -> None:
        store(tmp_path, "/opt/ml/model", "a.mar")
        platform = found({}, tmp_path)
        assert platform.routes(["a", "a"]) == {"/invocations": "a"}
        with pytest.raises(ConfigRefused) as caught:
            platform.routes(["b", "a"])
        assert caught.value.code == "several_models"
        assert "a, b" in caught.value.message


class TestVertex:
    def test_detected_by_its_port(self, tmp_path: Path) -> None:
        platform = found(VERTEX, tmp_path)
        assert platform.title == "Vertex AI"
        assert platform.health_routes == (VERTEX["AIP_HEALTH_ROUTE"],)
        assert platform.routes(["flights"]) == {VERTEX["AIP_PREDICT_ROUTE"]: "flights"}
        settings = platform.apply(IN_IMAGE)
        assert (settings.port, settings.model_store, settings.needs_tokens) == (7080, Path("/models"), False)

    def test_refuses_the_same_route_twice(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigRefused) as caught:
            detect({"AIP_HTTP_PORT": "80", "AIP_HEALTH_ROUTE": "/x", "AIP_PREDICT_ROUTE": "/x"}, tmp_path)
        assert caught.value.code == "same_routes"

    @pytest.mark.parametrize(
        ("variable", "value", "code"),
        [
            ("AIP_HTTP_PORT", "http", "invalid_port"),
            ("AIP_HTTP_PORT", "70000", "invalid_port"),
            ("AIP_PREDICT_ROUTE", "predict", "invalid_route"),
        ],
    )
    def test_refuses_invalid_variables(self, variable: str, value: str, code: str, tmp_path: Path) -> None:
        with pytest.raises(ConfigRefused) as caught:
            detect(VERTEX | {variable: value}, tmp_path)
        assert caught.value.code == code
        assert variable in caught.value.message
        assert repr(value) in caught.value.message


class TestAzureML:
    def test_detected_by_its_variable(self, tmp_path: Path) -> None:
        folder = store(tmp_path, "/var/azureml-app/azureml-models/flights/1", "flights.mar")
        platform = found({"AZUREML_MODEL_DIR": "/var/azureml-app/azureml-models/flights/1"}, tmp_path)
        assert platform.title == "Azure ML"
        assert platform.apply(IN_IMAGE).model_store == folder
        assert platform.routes(["flights"]) == {"/score": "flights"}

    def test_finds_archives_of_a_registered_folder(self, tmp_path: Path) -> None:
        inner = store(tmp_path, "/var/azureml-app/azureml-models/flights/1/model_store", "flights.mar")
        platform = found({"AZUREML_MODEL_DIR": "/var/azureml-app/azureml-models/flights/1"}, tmp_path)
        assert platform.apply(IN_IMAGE).model_store == inner

    def test_refuses_archives_in_several_folders(self, tmp_path: Path) -> None:
        for name in ("b", "a"):
            store(tmp_path, f"/models/{name}", f"{name}.mar")
        with pytest.raises(ConfigRefused) as caught:
            detect({"AZUREML_MODEL_DIR": "/models"}, tmp_path)
        assert caught.value.code == "several_folders"
        assert "a, b" in caught.value.message

    def test_allows_several_models(self, tmp_path: Path) -> None:
        assert found({"AZUREML_MODEL_DIR": "/models"}, tmp_path).routes(["a", "b"]) == {}


def test_command_line_overrides_the_platform(tmp_path: Path) -> None:
    platform = found(VERTEX, tmp_path)
    settings = platform.apply(Settings(port=9000, host="127.0.0.1", tokens=True), given={"port", "tokens"})
    assert (settings.port, settings.host, settings.needs_tokens) == (9000, "0.0.0.0", True)


def test_other_settings_stay(tmp_path: Path) -> None:
    settings = found(VERTEX, tmp_path).apply(Settings(workers=3, ready_timeout=7, models=["a"]))
    assert (settings.workers, settings.ready_timeout, settings.models) == (3, 7, ["a"])


def test_refuses_an_unreadable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path, "/opt/ml/model", "flights.mar")

    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(ConfigRefused) as caught:
        detect({}, tmp_path)
    assert caught.value.code == "folder_unreadable"
