"""Settings for cloud platforms: the model store, the port and the routes that each platform uses.

| platform | detected by | archives in | port | health route | prediction route |
| --- | --- | --- | --- | --- | --- |
| sagemaker | the folder /opt/ml/model | /opt/ml/model | SAGEMAKER_BIND_TO_PORT, 8080 | /ping | /invocations |
| vertex | AIP_HTTP_PORT | the image | AIP_HTTP_PORT, 8080 | AIP_HEALTH_ROUTE | AIP_PREDICT_ROUTE |
| azureml | AZUREML_MODEL_DIR | AZUREML_MODEL_DIR | the default | /ping | /score |

Each platform authenticates its callers itself and can't send fastmar's key, so the server needs none. The functions
read only the environment and the root folder that they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastmar_serving.errors import ConfigRefused
from fastmar_serving.settings import Settings

AUTO, NONE = "auto", "none"
ANYWHERE = "0.0.0.0"  # noqa: S104 - behind the platform's own proxy
SAGEMAKER_DRAIN = 20.0  # seconds: SageMaker kills the container 30 s after SIGTERM, and Java needs time to end
MAX_DEPTH = 2  # of folders with archives below the mounted one

Environment = Mapping[str, str]


@dataclass(frozen=True)
class Platform:
    """One platform.

    Attributes:
        name: its name in `--platform`.
        title: its name in messages.
        settings: fields of `Settings` that it sets.
        health_routes: paths that answer like /ping.
        predict_routes: paths that answer like /predictions/NAME of the only model.
        needs_one_model: whether the platform calls no other paths, so that only one model is possible.
    """

    name: str
    title: str
    settings: Mapping[str, Any]
    health_routes: tuple[str, ...]
    predict_routes: tuple[str, ...]
    needs_one_model: bool = True

    def apply(self, settings: Settings, given: Collection[str] = ()) -> Settings:
        """`settings` with the platform's values, except the fields in `given`, which the command line sets."""
        return replace(settings, **{name: value for name, value in self.settings.items() if name not in given})

    def routes(self, models: Iterable[str]) -> dict[str, str]:
        """The model of each predict route, by path.

        Raises:
            ConfigRefused: there are several models, and the platform allows one.
        """
        names = sorted(set(models))
        if len(names) == 1:
            return dict.fromkeys(self.predict_routes, names[0])
        if not self.needs_one_model:
            return {}
        raise ConfigRefused(
            f"{self.title} calls {' and '.join(self.predict_routes)} without a model name, "
            f"and there are {len(names)} models: {', '.join(names)}.",
            fix="deploy each model to a separate endpoint, or serve one of them with --models.",
            code="several_models",
        )


def choose(name: str, environ: Environment, root: Path = Path("/")) -> Platform | None:
    """The platform for the value of `--platform`: a name, `auto` to detect it, or `none`."""
    if name == NONE:
        return None
    return detect(environ, root) if name == AUTO else PLATFORMS[name](environ, root)


def detect(environ: Environment, root: Path = Path("/")) -> Platform | None:
    """The platform that this process runs on, or None."""
    if "AIP_HTTP_PORT" in environ:
        return vertex(environ, root)
    if "AZUREML_MODEL_DIR" in environ:
        return azureml(environ, root)
    if (root / "opt/ml/model").is_dir():
        return sagemaker(environ, root)
    return None


def sagemaker(environ: Environment, root: Path) -> Platform:
    """Amazon SageMaker AI: endpoints and Batch Transform. The folder holds the unpacked model.tar.gz."""
    settings = {
        **_behind_proxy(_port(environ, "SAGEMAKER_BIND_TO_PORT")),
        **_store(root / "opt/ml/model"),
        "drain_timeout": SAGEMAKER_DRAIN,
    }
    return Platform("sagemaker", "SageMaker", settings, ("/ping",), ("/invocations",))


def vertex(environ: Environment, root: Path) -> Platform:  # noqa: ARG001 - the signature of all platforms
    """Google Vertex AI. It mounts no folder: the archive is part of the image."""
    health = _route(environ, "AIP_HEALTH_ROUTE", "/ping")
    predict = _route(environ, "AIP_PREDICT_ROUTE", "/invocations")
    if health == predict:
        raise ConfigRefused(
            f"AIP_HEALTH_ROUTE and AIP_PREDICT_ROUTE are both {health}.",
            fix="give the model two different routes.",
            code="same_routes",
        )
    return Platform("vertex", "Vertex AI", _behind_proxy(_port(environ, "AIP_HTTP_PORT")), (health,), (predict,))


def azureml(environ: Environment, root: Path) -> Platform:
    """Azure Machine Learning, custom container. The deployment configures the port and the routes."""
    folder = environ.get("AZUREML_MODEL_DIR")
    settings = {**_behind_proxy(None), **(_store(root / folder.lstrip("/")) if folder else {})}
    return Platform("azureml", "Azure ML", settings, ("/ping",), ("/score",), needs_one_model=False)


PLATFORMS: dict[str, Callable[[Environment, Path], Platform]] = {
    function.__name__: function for function in (sagemaker, vertex, azureml)
}
CHOICES = (AUTO, NONE, *PLATFORMS)


def _behind_proxy(port: int | None) -> dict[str, Any]:
    """Settings behind a proxy that authenticates callers. The metrics need no key, so they stay on loopback."""
    settings = {"host": ANYWHERE, "tokens": False, "metrics_host": "127.0.0.1", "metrics_port": 0}
    return settings if port is None else {**settings, "port": port}


def _port(environ: Environment, variable: str) -> int:
    text = environ.get(variable) or "8080"
    if not text.isdecimal() or not 0 < int(text) <= 65535:
        raise ConfigRefused(
            f"{variable} is {text!r}, which is not a valid port.",
            fix=f"set {variable} to a number, such as 8080.",
            code="invalid_port",
        )
    return int(text)


def _route(environ: Environment, variable: str, default: str) -> str:
    route = environ.get(variable) or default
    if not route.startswith("/"):
        raise ConfigRefused(
            f"{variable} is {route!r}, which is not a path.",
            fix=f"let {variable} begin with a slash.",
            code="invalid_route",
        )
    return route


def _store(folder: Path) -> dict[str, Any]:
    """The model store in the mounted folder; no setting if that is empty, since the image may contain archives.

    If a folder of archives was packed or registered, the archives are one level below the mounted folder.

    Raises:
        ConfigRefused: the folder can't be read, or several folders have archives.
    """
    try:
        has_files = folder.is_dir() and any(folder.iterdir())
    except PermissionError as error:
        raise ConfigRefused(
            f"{folder} can't be read: {error.strerror}.",
            fix="run the container as root, or make the folder readable.",
            code="folder_unreadable",
        ) from error
    for depth in range(MAX_DEPTH + 1):
        found = sorted({path.parent for path in folder.glob("*/" * depth + "*.mar")})
        if len(found) > 1:
            inside = ", ".join(str(path.relative_to(folder)) for path in found)
            raise ConfigRefused(
                f"{folder} has archives in several folders: {inside}.",
                fix="put all archives into one folder.",
                code="several_folders",
            )
        if found:
            return {"model_store": found[0]}
    return {"model_store": folder} if has_files else {}
