"""SageMaker models, for endpoints and batches: upload the archives to S3, and create the model."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fastmar_serving.clouds.sagemaker import names
from fastmar_serving.clouds.sagemaker.aws import Aws
from fastmar_serving.clouds.sagemaker.package import Package, package
from fastmar_serving.clouds.sagemaker.progress import Progress


@dataclass(frozen=True)
class ModelOptions:
    """Options of a SageMaker model.

    Attributes:
        archives: files of the model's versions.
        name: name of its endpoint.
        image: URI of the container image in ECR.
        role: ARN of the execution role.
        bucket: bucket for model.tar.gz.
        environment: environment variables of the container.
        isolated: whether the container has no network (network isolation).
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
    """A SageMaker model.

    Attributes:
        group: name of its endpoint.
        name: its own name.
        archives: names and versions of its archives.
    """

    group: str
    name: str
    archives: str

    @property
    def tags(self) -> list[dict[str, str]]:
        """Tags of all resources of the endpoint."""
        return names.tags(self.group, self.archives)


def ensure_model(aws: Aws, model_options: ModelOptions, progress: Progress) -> Model:
    """Upload the archives and create the model, unless they exist."""
    with tempfile.TemporaryDirectory(prefix="fastmar-sagemaker-") as folder:
        progress.stage("Packing")
        packed = package(model_options.archives, Path(folder) / "model.tar.gz")
        group = names.check_name(model_options.name)
        uri = f"{names.folder(model_options.bucket, group)}/{packed.digest[:12]}/model.tar.gz"
        _ensure_upload(aws, packed, uri, progress)
    definition = {"Image": model_options.image, "ModelDataUrl": uri, "Environment": dict(model_options.environment)}
    name = names.derive_name(group, definition, model_options.role, model_options.isolated)
    model = Model(group, name, packed.label)
    if aws.find("sagemaker", "describe_model", ModelName=name):
        progress.exists(f"model {name}")
        return model
    aws.call(
        "sagemaker",
        "create_model",
        ModelName=name,
        PrimaryContainer=definition,
        ExecutionRoleArn=model_options.role,
        EnableNetworkIsolation=model_options.isolated,
        Tags=model.tags,
    )
    progress.created(f"model {name}")
    return model


def _ensure_upload(aws: Aws, packed: Package, uri: str, progress: Progress) -> None:
    """Upload, unless an object of that size exists; its key contains a digest of the content."""
    size = packed.path.stat().st_size
    if aws.size(uri) == size:
        progress.exists(uri)
        return
    progress.stage(f"Uploading {size:,} bytes to {uri}")
    aws.upload(packed.path, uri)
    progress.created(uri)
