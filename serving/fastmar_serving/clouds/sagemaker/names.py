"""Names and tags of the resources of an endpoint, by which they are found again.

The endpoint is called NAME; its models and configurations are called NAME-DIGEST, with a digest of their definition.
The same archives, image and settings thus have the same names, and a repeated command creates no duplicates.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from fastmar_serving.clouds.sagemaker.errors import RequestRefused

NAME_TAG = "fastmar:name"  # name of the endpoint
ARCHIVES_TAG = "fastmar:archives"
MAX_NAME = 40  # characters; SageMaker allows 63, and names of models and jobs are longer than the endpoint's
PREFIX = "fastmar"  # folder in the bucket
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")
_NOT_IN_TAGS = re.compile(r"[^\w\s.:/=+\-@]")


def check_name(name: str) -> str:
    """Return `name` if it is valid for an endpoint.

    Raises:
        RequestRefused: it is not valid.
    """
    if _NAME.fullmatch(name) and len(name) <= MAX_NAME:
        return name
    raise RequestRefused(
        f"{name!r} is not a valid name of an endpoint.",
        fix=f"give a --name of letters, digits and hyphens, at most {MAX_NAME} characters.",
        code="invalid_endpoint_name",
    )


def name_from_model(model: str) -> str:
    """A valid name of an endpoint from a model's name."""
    return check_name(re.sub(r"[^a-zA-Z0-9]+", "-", model).strip("-")[:MAX_NAME].strip("-"))


def derive_name(name: str, *parts: Any) -> str:
    """NAME-DIGEST, with a digest of `parts`."""
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return f"{name}-{digest[:12]}"


def tags(name: str, archives: str) -> list[dict[str, str]]:
    """Tags of all resources of an endpoint."""
    return [
        {"Key": NAME_TAG, "Value": name},
        {"Key": ARCHIVES_TAG, "Value": _NOT_IN_TAGS.sub("_", archives)[:256]},
    ]


def folder(bucket: str, name: str) -> str:
    """S3 URI of the folder with an endpoint's files."""
    return f"s3://{bucket}/{PREFIX}/{name}"
