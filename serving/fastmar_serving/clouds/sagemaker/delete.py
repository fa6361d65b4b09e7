"""Remove what was made for an endpoint: scaling, endpoint, configurations, models, files in S3. Twice does no harm."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from fastmar_serving.clouds.sagemaker import names, scaling
from fastmar_serving.clouds.sagemaker.aws import Aws, split_uri
from fastmar_serving.clouds.sagemaker.endpoint import LOOK, Sleep, described, is_ours
from fastmar_serving.clouds.sagemaker.errors import RequestRefused
from fastmar_serving.clouds.sagemaker.journal import Journal


@dataclass(frozen=True)
class Found:
    """What there is of an endpoint.

    Attributes:
        name: of the endpoint.
        scales: whether it scales by itself.
        endpoint: whether it is there.
        configs: names of its configurations.
        models: names of its models.
        files: S3 addresses of what they were made of, and of what batches were given.
    """

    name: str
    scales: bool
    endpoint: bool
    configs: list[str]
    models: list[str]
    files: list[str]

    def lines(self) -> list[str]:
        """What is there, a line each."""
        return [
            *(["scaling"] if self.scales else []),
            *([f"endpoint {self.name}"] if self.endpoint else []),
            *(f"configuration {config}" for config in self.configs),
            *(f"model {model}" for model in self.models),
            *self.files,
        ]


def find(aws: Aws, name: str, bucket: str | None = None) -> Found:
    """What there is, in the buckets that its models name, and in `bucket`.

    Raises:
        RequestRefused: there is an endpoint of that name that this program did not make, or the bucket is elsewhere.
    """
    endpoint = described(aws, name)
    if endpoint and not is_ours(aws, endpoint["EndpointArn"], name):
        raise RequestRefused(
            f"fastmar did not make the endpoint {name}.",
            fix=f"if it is yours, run `aws sagemaker delete-endpoint --endpoint-name {name} --region {aws.region}`.",
        )
    if bucket:
        _refuse_elsewhere(aws, bucket)
    models = list(_ours(aws, name, "list_models", "Models", "ModelName", "ModelArn"))
    return Found(
        name=name,
        scales=endpoint is not None and scaling.current(aws, name) is not None,
        endpoint=endpoint is not None,
        configs=list(
            _ours(aws, name, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", "EndpointConfigArn")
        ),
        models=models,
        files=sorted(
            file for place in _buckets(aws, models, bucket) for file in aws.listed(f"{names.folder(place, name)}/")
        ),
    )


def delete(aws: Aws, found: Found, journal: Journal, sleep: Sleep = time.sleep) -> None:
    """Remove all of it; the files last, so that a command that was interrupted still finds them by the models."""
    name = found.name
    if found.scales and scaling.remove(aws, name):
        journal.say("removed scaling")
    if found.endpoint:
        aws.find("sagemaker", "delete_endpoint", EndpointName=name)
        while aws.find("sagemaker", "describe_endpoint", EndpointName=name):
            journal.stage(f"Endpoint {name} is being deleted")
            sleep(LOOK)
        journal.say(f"removed endpoint {name}")
    for config in found.configs:
        aws.find("sagemaker", "delete_endpoint_config", EndpointConfigName=config)
        journal.say(f"removed configuration {config}")
    for file in found.files:
        bucket, key = split_uri(file)
        aws.call("s3", "delete_object", Bucket=bucket, Key=key)
        journal.say(f"removed {file}")
    for model in found.models:
        aws.find("sagemaker", "delete_model", ModelName=model)
        journal.say(f"removed model {model}")


def _refuse_elsewhere(aws: Aws, bucket: str) -> None:
    """What is in a bucket of another region was made for an endpoint there, and S3 hands it over all the same."""
    found = aws.find("s3", "head_bucket", Bucket=bucket)
    region = found and found.get("BucketRegion")
    if region and region != aws.region:
        raise RequestRefused(
            f"bucket {bucket} is in {region}, not in {aws.region}.", fix=f"give --region {region}, or another --bucket."
        )


def _ours(aws: Aws, name: str, operation: str, key: str, name_key: str, arn_key: str) -> Iterator[str]:
    """Names of the listed things that carry our tag for this endpoint."""
    for item in aws.pages("sagemaker", operation, key, NameContains=f"{name}-"):
        if item[name_key].startswith(f"{name}-") and is_ours(aws, item[arn_key], name):
            yield item[name_key]


def _buckets(aws: Aws, models: list[str], bucket: str | None) -> set[str]:
    buckets = {bucket} if bucket else set()
    for model in models:
        described = aws.find("sagemaker", "describe_model", ModelName=model) or {}
        uri = described.get("PrimaryContainer", {}).get("ModelDataUrl")
        if uri:
            buckets.add(split_uri(uri)[0])
    return buckets
