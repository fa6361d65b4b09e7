"""The first half of a deployment and of a batch: archives in S3, and a SageMaker model that names them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastmar_serving.clouds.sagemaker import names
from fastmar_serving.clouds.sagemaker.aws import Aws
from fastmar_serving.clouds.sagemaker.journal import Journal
from fastmar_serving.clouds.sagemaker.package import Package, package


@dataclass(frozen=True)
class Hosted:
    """What a SageMaker model is made of.

    Attributes:
        archives: files of one model's versions.
        name: of the endpoint that it is for.
        image: URI of the container image in ECR.
        role: ARN of the role that SageMaker acts as.
        bucket: where model.tar.gz goes.
        environment: variables of the container.
        isolated: whether the container has no network.
    """

    archives: Sequence[Path]
    name: str
    image: str
    role: str
    bucket: str
    environment: Mapping[str, str] = field(default_factory=dict)
    isolated: bool = False


@dataclass(frozen=True)
class Model:
    """A model that SageMaker knows.

    Attributes:
        group: name of the endpoint that it belongs to.
        name: its own.
        archives: names and versions of what is in it.
    """

    group: str
    name: str
    archives: str

    @property
    def tags(self) -> list[dict[str, str]]:
        """Tags of everything that belongs to the same endpoint."""
        return names.tags(self.group, self.archives)


def ensure_model(aws: Aws, hosted: Hosted, journal: Journal) -> Model:
    """Upload the archives and create the model, unless both are there."""
    with tempfile.TemporaryDirectory(prefix="fastmar-sagemaker-") as folder:
        journal.stage("Packing")
        packed = package(hosted.archives, Path(folder) / "model.tar.gz")
        group = names.checked_name(hosted.name)
        uri = f"{names.folder(hosted.bucket, group)}/{packed.digest[:12]}/model.tar.gz"
        _ensure_upload(aws, packed, uri, journal)
    definition = {"Image": hosted.image, "ModelDataUrl": uri, "Environment": dict(hosted.environment)}
    name = names.derived(group, definition, hosted.role, hosted.isolated)
    model = Model(group, name, packed.label)
    if aws.find("sagemaker", "describe_model", ModelName=name):
        journal.there(f"model {name}")
        return model
    aws.call(
        "sagemaker",
        "create_model",
        ModelName=name,
        PrimaryContainer=definition,
        ExecutionRoleArn=hosted.role,
        EnableNetworkIsolation=hosted.isolated,
        Tags=model.tags,
    )
    journal.done(f"model {name}")
    return model


def _ensure_upload(aws: Aws, packed: Package, uri: str, journal: Journal) -> None:
    """Upload, unless an object of that size is there: its key stands for its content."""
    size = packed.path.stat().st_size
    if aws.size(uri) == size:
        journal.there(uri)
        return
    journal.stage(f"Uploading {size:,} bytes to {uri}")
    aws.upload(packed.path, uri)
    journal.done(uri)
