"""Names and tags of everything that is made for one endpoint, so that all of it is found again.

An endpoint is called NAME; its models and configurations NAME-DIGEST, where the digest stands for all that went into
them. The same archives, image and settings so get the same names, and a command that runs twice makes nothing twice.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from fastmar_serving.clouds.sagemaker.errors import RequestRefused

NAME_TAG = "fastmar:name"  # of the endpoint that a thing belongs to
ARCHIVES_TAG = "fastmar:archives"
LONGEST_NAME = 40  # characters; SageMaker takes 63, and names of models and jobs are longer than the endpoint's
PREFIX = "fastmar"  # folder in the bucket
_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")
_NOT_IN_TAGS = re.compile(r"[^\w\s.:/=+\-@]")


def checked_name(name: str) -> str:
    """`name`, if SageMaker takes it for an endpoint.

    Raises:
        RequestRefused: it does not.
    """
    if _NAME.fullmatch(name) and len(name) <= LONGEST_NAME:
        return name
    raise RequestRefused(
        f"{name!r} can't be an endpoint's name.",
        fix=f"give --name letters, digits and hyphens, at most {LONGEST_NAME}.",
    )


def name_for(model: str) -> str:
    """An endpoint's name made of a model's name."""
    return checked_name(re.sub(r"[^a-zA-Z0-9]+", "-", model).strip("-")[:LONGEST_NAME].strip("-"))


def derived(name: str, *parts: Any) -> str:
    """NAME-DIGEST for what is made of `parts`."""
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return f"{name}-{digest[:12]}"


def tags(name: str, archives: str) -> list[dict[str, str]]:
    """Tags of everything that belongs to an endpoint."""
    return [
        {"Key": NAME_TAG, "Value": name},
        {"Key": ARCHIVES_TAG, "Value": _NOT_IN_TAGS.sub("_", archives)[:256]},
    ]


def folder(bucket: str, name: str) -> str:
    """Where files of an endpoint lie in the bucket."""
    return f"s3://{bucket}/{PREFIX}/{name}"
