"""Responses to paths without a route."""

from __future__ import annotations

from fastmar_runtime.http import refusals
from fastmar_runtime.http.routes import Models, is_v2
from fastmar_runtime.payload import Response
from fastmar_runtime.samples import NAME as SAMPLES

# The parts of a path before the name of a model, and the index of the name.
_MODEL_AT = ((["predictions"], 2), (["models"], 2), (["v1", "models"], 3), (["v2", "models"], 3))


def unknown_path(models: Models, path: str) -> Response:
    """The response to an unknown path. Unknown models and versions have errors of their own."""
    v2 = is_v2(path)
    parts = path.split("/")
    at = next((at for start, at in _MODEL_AT if parts[1:at] == start and len(parts) > at), None)
    if at is None:
        return refusals.not_found(path, v2=v2)
    name = parts[at].removesuffix(":predict")
    versions = models.versions.get(name)
    if versions is None:
        return refusals.model_not_found(v2=v2)
    if parts[1] != "predictions" or len(parts) < 4 or not parts[-1]:
        is_version = "versions" in parts and parts[-1]
        return refusals.version_not_found(v2=v2) if is_version else refusals.not_found(path, v2=v2)
    if len(parts) == 4 and parts[3] == SAMPLES:  # the archive has none
        return models.default(name).service.document(SAMPLES)
    if parts[3] in versions:
        return versions[parts[3]].service.document("/".join(parts[4:]))
    return refusals.version_not_found(v2=v2)
