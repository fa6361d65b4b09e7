"""`delete` removes all resources of an endpoint and no others, and can be repeated."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from tests.runtime import tiny
from tests.serving.archives import make_archive
from tests.serving.clouds.sagemaker.conftest import BUCKET, DELETING, IMAGE, REGION, ROLE, Cloud, keys
from tests.serving.torchserve.conftest import ECHO

from fastmar_serving.clouds.sagemaker import scaling
from fastmar_serving.clouds.sagemaker.aws import Aws
from fastmar_serving.clouds.sagemaker.delete import EndpointResources, delete, find
from fastmar_serving.clouds.sagemaker.endpoint import EndpointOptions, deploy
from fastmar_serving.clouds.sagemaker.errors import AwsRefused, RequestRefused
from fastmar_serving.clouds.sagemaker.model import ModelOptions
from fastmar_serving.clouds.sagemaker.progress import Progress
from fastmar_serving.clouds.sagemaker.scaling import Scaling
from fastmar_serving.clouds.sagemaker.transform import BatchOptions, transform

NOTHING = EndpointResources("flights", scales=False, endpoint=False, configs=[], models=[], files=[])


@pytest.fixture
def options(model_options: ModelOptions) -> EndpointOptions:
    return EndpointOptions(model_options, "ml.m5.large", 1, 480, scaling=Scaling(1, 4, 600))


def remaining() -> list[str]:
    """Names of all models, configurations and endpoints of the account, and keys of the bucket."""
    client = boto3.client("sagemaker", region_name=REGION)
    return [
        *(model["ModelName"] for model in client.list_models()["Models"]),
        *(config["EndpointConfigName"] for config in client.list_endpoint_configs()["EndpointConfigs"]),
        *(endpoint["EndpointName"] for endpoint in client.list_endpoints()["Endpoints"]),
        *keys(),
    ]


def test_deletes_all_resources_of_two_versions(
    aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress, printed: list[str], tmp_path: Path
) -> None:
    deploy(aws, options, progress, cloud.sleep)
    archive = make_archive(tmp_path / "next", "flights", ECHO, version="2.0")
    deploy(
        aws, replace(options, model_options=replace(options.model_options, archives=[archive])), progress, cloud.sleep
    )
    found = find(aws, "flights")
    assert (found.scales, found.endpoint) == (True, True)
    assert (len(found.configs), len(found.models), len(found.files)) == (2, 2, 2)
    assert len(found.lines()) == 8
    delete(aws, found, progress, cloud.sleep)
    assert remaining() == []
    assert scaling.current(aws, "flights") is None
    assert "removed endpoint flights" in printed


def test_can_be_repeated(aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress) -> None:
    deploy(aws, options, progress, cloud.sleep)
    found = find(aws, "flights")
    delete(aws, found, progress, cloud.sleep)
    assert find(aws, "flights") == NOTHING
    delete(aws, found, progress, cloud.sleep)  # resources that no longer exist
    assert remaining() == []


def test_resources_of_other_endpoints_stay(
    aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
) -> None:
    deploy(aws, replace(options, model_options=replace(options.model_options, name="flights-2")), progress, cloud.sleep)
    others = remaining()
    deploy(aws, options, progress, cloud.sleep)
    client = boto3.client("sagemaker", region_name=REGION)
    client.create_model(ModelName="flights-mine", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE})
    delete(aws, find(aws, "flights"), progress, cloud.sleep)
    assert sorted(remaining()) == sorted([*others, "flights-mine"])


def test_refuses_an_endpoint_that_fastmar_did_not_create(
    aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
) -> None:
    deploy(aws, options, progress, cloud.sleep)
    cloud.endpoint("flights").tags = []
    with pytest.raises(RequestRefused) as refused:
        find(aws, "flights")
    assert refused.value.code == "foreign_endpoint"
    assert f"aws sagemaker delete-endpoint --endpoint-name flights --region {REGION}" in refused.value.fix


@pytest.mark.parametrize("stops_at", ["DeleteEndpoint", "DeleteEndpointConfig", "DeleteObject", "DeleteModel"])
def test_continues_after_an_interruption(
    stops_at: str, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
) -> None:
    deploy(aws, options, progress, cloud.sleep)
    cloud.refused[stops_at] = ("ThrottlingException", "Rate exceeded")
    with pytest.raises(AwsRefused):
        delete(aws, find(aws, "flights"), progress, cloud.sleep)
    cloud.refused.clear()
    delete(aws, find(aws, "flights"), progress, cloud.sleep)
    assert remaining() == []


def test_finds_an_upload_without_a_model_in_the_bucket(
    aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
) -> None:
    cloud.refused["CreateModel"] = ("AccessDeniedException", "no")
    with pytest.raises(AwsRefused):
        deploy(aws, options, progress, cloud.sleep)
    assert find(aws, "flights") == NOTHING
    delete(aws, find(aws, "flights", BUCKET), progress, cloud.sleep)
    assert remaining() == []


def test_refuses_a_bucket_of_another_region(
    aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
) -> None:
    """Its files belong to an endpoint in that region, which may be in service."""
    deploy(aws, options, progress, cloud.sleep)
    with pytest.raises(RequestRefused) as refused:
        find(Aws("us-east-1"), "flights", BUCKET)
    assert refused.value.code == "other_region"
    assert f"--region {REGION}" in refused.value.fix
    with pytest.raises(AwsRefused) as missing:
        find(aws, "flights", "no-such-bucket")
    assert "NoSuchBucket" in missing.value.message


def test_deletes_the_endpoint_before_its_model(
    aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
) -> None:
    deploy(aws, options, progress, cloud.sleep)
    found = find(aws, "flights")
    cloud.calls.clear()
    cloud.states = [DELETING, DELETING]
    delete(aws, found, progress, cloud.sleep)
    assert cloud.slept == 2
    order = [name for name in cloud.names() if name.startswith(("De", "Describe"))]
    assert order == [
        "DeregisterScalableTarget",
        "DeleteEndpoint",
        *["DescribeEndpoint"] * 3,
        "DeleteEndpointConfig",
        "DeleteObject",
        "DeleteModel",
    ]


def test_deletes_the_input_of_batches_but_not_their_answers(
    aws: Aws, cloud: Cloud, model_options: ModelOptions, progress: Progress, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(tiny.record()))
    batch = BatchOptions(
        model_options, str(tmp_path / "rows.jsonl"), None, str(tmp_path / "answers.jsonl"), "ml.m5.large", 1
    )
    transform(aws, batch, progress, cloud.sleep)
    delete(aws, find(aws, "flights"), progress, cloud.sleep)
    assert [key.split("/")[0] for key in remaining()] == ["fastmar-answers"]
