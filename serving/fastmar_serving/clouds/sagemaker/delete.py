"""Delete an endpoint with its scaling, configurations, models and files in S3. Can be repeated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from fastmar_serving.clouds.sagemaker import names, scaling
from fastmar_serving.clouds.sagemaker.aws import Aws, split_uri
from fastmar_serving.clouds.sagemaker.endpoint import POLL, Sleep, describe, is_made_by_fastmar
from fastmar_serving.clouds.sagemaker.errors import RequestRefused
from fastmar_serving.clouds.sagemaker.progress import Progress


@dataclass(frozen=True)
class EndpointResources:
    """The existing resources of an endpoint.

    Attributes:
        name: name of the endpoint.
        scales: whether it has automatic scaling.
        endpoint: whether the endpoint exists.
        configs: names of its configurations.
        models: names of its models.
        files: S3 URIs of its archives and of the input of batches.
    """

    name: str
    scales: bool
    endpoint: bool
    configs: list[str]
    models: list[str]
    files: list[str]

    def lines(self) -> list[str]:
        """One line for each resource."""
        return [
            *(["scaling"] if self.scales else []),
            *([f"endpoint {self.name}"] if self.endpoint else []),
            *(f"configuration {config}" for config in self.configs),
            *(f"model {model}" for model in self.models),
            *self.files,
        ]


def find(aws: Aws, name: str, bucket: str | None = None) -> EndpointResources:
    """Find all resources of an endpoint. Files are searched in the buckets of its models and in `bucket`.

    Raises:
        RequestRefused: fastmar did not create the endpoint, or the bucket is in another region.
    """
    endpoint = describe(aws, name)
    if endpoint and not is_made_by_fastmar(aws, endpoint["EndpointArn"], name):
        raise RequestRefused(
            f"fastmar did not create the endpoint {name}.",
            fix=f"if it is yours, run `aws sagemaker delete-endpoint --endpoint-name {name} --region {aws.region}`.",
            code="foreign_endpoint",
        )
    if bucket:
        _refuse_other_region(aws, bucket)
    models = list(_list_tagged(aws, name, "list_models", "Models", "ModelName", "ModelArn"))
    return EndpointResources(
        name=name,
        scales=endpoint is not None and scaling.current(aws, name) is not None,
        endpoint=endpoint is not None,
        configs=list(
            _list_tagged(
                aws, name, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", "EndpointConfigArn"
            )
        ),
        models=models,
        files=sorted(
            file for each in _buckets(aws, models, bucket) for file in aws.list_objects(f"{names.folder(each, name)}/")
        ),
    )


def delete(aws: Aws, found: EndpointResources, progress: Progress, sleep: Sleep = time.sleep) -> None:
    """Delete all resources. Models come last, because a repeated command finds the buckets through them."""
    name = found.name
    if found.scales and scaling.remove(aws, name):
        progress.write("removed scaling")
    if found.endpoint:
        aws.find("sagemaker", "delete_endpoint", EndpointName=name)
        while aws.find("sagemaker", "describe_endpoint", EndpointName=name):
            progress.stage(f"Endpoint {name} is being deleted")
            sleep(POLL)
        progress.write(f"removed endpoint {name}")
    for config in found.configs:
        aws.find("sagemaker", "delete_endpoint_config", EndpointConfigName=config)
        progress.write(f"removed configuration {config}")
    for file in found.files:
        bucket, key = split_uri(file)
        aws.call("s3", "delete_object", Bucket=bucket, Key=key)
        progress.write(f"removed {file}")
    for model in found.models:
        aws.find("sagemaker", "delete_model", ModelName=model)
        progress.write(f"removed model {model}")


def _refuse_other_region(aws: Aws, bucket: str) -> None:
    """Refuse a bucket in another region: its files are for an endpoint there, and S3 would delete them."""
    found = aws.find("s3", "head_bucket", Bucket=bucket)
    region = found and found.get("BucketRegion")
    if region and region != aws.region:
        raise RequestRefused(
            f"bucket {bucket} is in {region}, not in {aws.region}.",
            fix=f"give --region {region}, or another --bucket.",
            code="other_region",
        )


def _list_tagged(aws: Aws, name: str, operation: str, key: str, name_key: str, arn_key: str) -> Iterator[str]:
    """Names of the listed resources with the tag of this endpoint."""
    for item in aws.pages("sagemaker", operation, key, NameContains=f"{name}-"):
        if item[name_key].startswith(f"{name}-") and is_made_by_fastmar(aws, item[arn_key], name):
            yield item[name_key]


def _buckets(aws: Aws, models: list[str], bucket: str | None) -> set[str]:
    buckets = {bucket} if bucket else set()
    for model in models:
        described = aws.find("sagemaker", "describe_model", ModelName=model) or {}
        uri = described.get("PrimaryContainer", {}).get("ModelDataUrl")
        if uri:
            buckets.add(split_uri(uri)[0])
    return buckets
