"""What clouds promise to a container, as settings of a server: where archives lie, which port and routes are asked.

| platform | known by | archives in | port | asked for health | asked for answers |
| --- | --- | --- | --- | --- | --- |
| sagemaker | the folder /opt/ml/model | /opt/ml/model | SAGEMAKER_BIND_TO_PORT, 8080 | /ping | /invocations |
| vertex | AIP_HTTP_PORT | the image | AIP_HTTP_PORT, 8080 | AIP_HEALTH_ROUTE | AIP_PREDICT_ROUTE |
| azureml | AZUREML_MODEL_DIR | AZUREML_MODEL_DIR | the same as elsewhere | /ping | /score |

Each of them checks its callers itself and can't send a key of ours, so none is asked for. All is read from the
environment and the file system that are given; nothing here looks elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastmar_serving.torchserve.config import Settings
from fastmar_serving.torchserve.errors import ConfigRefused

AUTO, NONE = "auto", "none"
ANYWHERE = "0.0.0.0"  # noqa: S104 - the platform's own proxy stands in front
SAGEMAKER_DRAIN = 20.0  # seconds: SageMaker kills 30 s after SIGTERM, and Java needs a moment to end
DEEPEST = 2  # folders below the one that is mounted in which archives are looked for

Environment = Mapping[str, str]


@dataclass(frozen=True)
class Platform:
    """What one platform promises.

    Attributes:
        name: as `--platform` takes it.
        title: what people call it.
        settings: fields of `Settings` that it decides.
        health_routes: paths that are to answer like /ping.
        predict_routes: paths that are to answer like /predictions/NAME of the only model.
        needs_one_model: whether those paths are the only way to a model.
    """

    name: str
    title: str
    settings: Mapping[str, Any]
    health_routes: tuple[str, ...]
    predict_routes: tuple[str, ...]
    needs_one_model: bool = True

    def apply(self, settings: Settings, given: Collection[str] = ()) -> Settings:
        """`settings` with what the platform decides; fields in `given`, those of the command line, stay as they are."""
        return replace(settings, **{name: value for name, value in self.settings.items() if name not in given})

    def routes(self, models: Iterable[str]) -> dict[str, str]:
        """The model that each of the predict routes leads to, by its path.

        Raises:
            ConfigRefused: there are several models, and no other way to them.
        """
        names = sorted(set(models))
        if len(names) == 1:
            return dict.fromkeys(self.predict_routes, names[0])
        if not self.needs_one_model:
            return {}
        raise ConfigRefused(
            f"{self.title} asks {' and '.join(self.predict_routes)} without a model's name, "
            f"and there are {len(names)} models: {', '.join(names)}.",
            fix="give each model an endpoint of its own, or serve one of them with --models.",
        )


def choose(name: str, environ: Environment, root: Path = Path("/")) -> Platform | None:
    """The platform that `--platform` names; `auto` looks for it, `none` is none."""
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
    decided = {
        **_behind_a_proxy(_port(environ, "SAGEMAKER_BIND_TO_PORT")),
        **_store(root / "opt/ml/model"),
        "drain_timeout": SAGEMAKER_DRAIN,
    }
    return Platform("sagemaker", "SageMaker", decided, ("/ping",), ("/invocations",))


def vertex(environ: Environment, root: Path) -> Platform:  # noqa: ARG001 - all of them are called alike
    """Google Vertex AI. It mounts nothing: the archive is part of the image."""
    health = _route(environ, "AIP_HEALTH_ROUTE", "/ping")
    predict = _route(environ, "AIP_PREDICT_ROUTE", "/invocations")
    if health == predict:
        raise ConfigRefused(
            f"AIP_HEALTH_ROUTE and AIP_PREDICT_ROUTE are both {health}.", fix="give the model two routes."
        )
    return Platform("vertex", "Vertex AI", _behind_a_proxy(_port(environ, "AIP_HTTP_PORT")), (health,), (predict,))


def azureml(environ: Environment, root: Path) -> Platform:
    """Azure Machine Learning, a custom container. Port and routes are what the deployment says: ours, that is."""
    folder = environ.get("AZUREML_MODEL_DIR")
    decided = {**_behind_a_proxy(None), **(_store(root / folder.lstrip("/")) if folder else {})}
    return Platform("azureml", "Azure ML", decided, ("/ping",), ("/score",), needs_one_model=False)


PLATFORMS: dict[str, Callable[[Environment, Path], Platform]] = {
    function.__name__: function for function in (sagemaker, vertex, azureml)
}
CHOICES = (AUTO, NONE, *PLATFORMS)


def _behind_a_proxy(port: int | None) -> dict[str, Any]:
    """Open to the platform's proxy, which checks callers; metrics, which check nobody, are not."""
    decided = {"host": ANYWHERE, "tokens": False, "metrics_host": "127.0.0.1", "metrics_port": 0}
    return decided if port is None else {**decided, "port": port}


def _port(environ: Environment, variable: str) -> int:
    text = environ.get(variable) or "8080"
    if not text.isdecimal() or not 0 < int(text) <= 65535:
        raise ConfigRefused(f"{variable} is {text!r}, which is no port.", fix=f"set {variable} to a number, say 8080.")
    return int(text)


def _route(environ: Environment, variable: str, otherwise: str) -> str:
    route = environ.get(variable) or otherwise
    if not route.startswith("/"):
        raise ConfigRefused(f"{variable} is {route!r}, which is no path.", fix=f"let {variable} begin with a slash.")
    return route


def _store(folder: Path) -> dict[str, Any]:
    """The folder with the archives in what is mounted; nothing where that is empty: the image has its own, then.

    Whoever packs or registers a folder finds the folder in what is mounted, and the archives one level below.

    Raises:
        ConfigRefused: it can't be read, or there are archives in several folders, of which one alone would be served.
    """
    try:
        filled = folder.is_dir() and any(folder.iterdir())
    except PermissionError as error:
        raise ConfigRefused(
            f"{folder} can't be read: {error.strerror}.", fix="run the container as root, or make the folder readable."
        ) from error
    for depth in range(DEEPEST + 1):
        found = sorted({path.parent for path in folder.glob("*/" * depth + "*.mar")})
        if len(found) > 1:
            inside = ", ".join(str(path.relative_to(folder)) for path in found)
            raise ConfigRefused(f"{folder} has archives in several folders: {inside}.", fix="put all into one folder.")
        if found:
            return {"model_store": found[0]}
    return {"model_store": folder} if filled else {}
