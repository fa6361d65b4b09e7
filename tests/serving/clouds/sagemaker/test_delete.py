"""Everything that was made is found and removed, nothing else, and twice does no harm."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from tests.runtime import tiny
from tests.serving.clouds.sagemaker.conftest import BUCKET, DELETING, IMAGE, REGION, ROLE, Cloud, keys
from tests.serving.torchserve.conftest import ECHO, make_archive

from fastmar_serving.clouds.sagemaker import scaling
from fastmar_serving.clouds.sagemaker.aws import Aws
from fastmar_serving.clouds.sagemaker.delete import Found, delete, find
from fastmar_serving.clouds.sagemaker.endpoint import Wanted, deploy
from fastmar_serving.clouds.sagemaker.errors import AwsRefused, RequestRefused
from fastmar_serving.clouds.sagemaker.journal import Journal
from fastmar_serving.clouds.sagemaker.model import Hosted
from fastmar_serving.clouds.sagemaker.scaling import Scaling
from fastmar_serving.clouds.sagemaker.transform import Batch, transform

NOTHING = Found("flights", scales=False, endpoint=False, configs=[], models=[], files=[])


@pytest.fixture
def wanted(hosted: Hosted) -> Wanted:
    return Wanted(hosted, "ml.m5.large", 1, 480, scaling=Scaling(1, 4, 600))


def left() -> list[str]:
    """Names of all models, configurations and endpoints of the account, and keys of the bucket."""
    client = boto3.client("sagemaker", region_name=REGION)
    return [
        *(model["ModelName"] for model in client.list_models()["Models"]),
        *(config["EndpointConfigName"] for config in client.list_endpoint_configs()["EndpointConfigs"]),
        *(endpoint["EndpointName"] for endpoint in client.list_endpoints()["Endpoints"]),
        *keys(),
    ]


def test_all_of_two_versions_goes(
    aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal, said: list[str], tmp_path: Path
) -> None:
    deploy(aws, wanted, journal, cloud.sleep)
    archive = make_archive(tmp_path / "next", "flights", ECHO, version="2.0")
    deploy(aws, replace(wanted, hosted=replace(wanted.hosted, archives=[archive])), journal, cloud.sleep)
    found = find(aws, "flights")
    assert (found.scales, found.endpoint) == (True, True)
    assert (len(found.configs), len(found.models), len(found.files)) == (2, 2, 2)
    assert len(found.lines()) == 8
    delete(aws, found, journal, cloud.sleep)
    assert left() == []
    assert scaling.current(aws, "flights") is None
    assert "removed endpoint flights" in said


def test_twice_does_no_harm(aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal) -> None:
    deploy(aws, wanted, journal, cloud.sleep)
    found = find(aws, "flights")
    delete(aws, found, journal, cloud.sleep)
    assert find(aws, "flights") == NOTHING
    delete(aws, found, journal, cloud.sleep)  # what somebody else has removed meanwhile
    assert left() == []


def test_what_is_another_endpoints_stays(aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal) -> None:
    deploy(aws, replace(wanted, hosted=replace(wanted.hosted, name="flights-2")), journal, cloud.sleep)
    theirs = left()
    deploy(aws, wanted, journal, cloud.sleep)
    client = boto3.client("sagemaker", region_name=REGION)
    client.create_model(ModelName="flights-mine", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": IMAGE})
    delete(aws, find(aws, "flights"), journal, cloud.sleep)
    assert sorted(left()) == sorted([*theirs, "flights-mine"])


def test_somebody_elses_endpoint_is_refused(aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal) -> None:
    deploy(aws, wanted, journal, cloud.sleep)
    cloud.endpoint("flights").tags = []
    with pytest.raises(RequestRefused, match="did not make") as refused:
        find(aws, "flights")
    assert f"aws sagemaker delete-endpoint --endpoint-name flights --region {REGION}" in refused.value.fix


@pytest.mark.parametrize("stops_at", ["DeleteEndpoint", "DeleteEndpointConfig", "DeleteObject", "DeleteModel"])
def test_interrupted_it_goes_on(stops_at: str, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal) -> None:
    deploy(aws, wanted, journal, cloud.sleep)
    cloud.refused[stops_at] = ("ThrottlingException", "Rate exceeded")
    with pytest.raises(AwsRefused):
        delete(aws, find(aws, "flights"), journal, cloud.sleep)
    cloud.refused.clear()
    delete(aws, find(aws, "flights"), journal, cloud.sleep)
    assert left() == []


def test_an_upload_without_a_model_is_found_by_the_bucket(
    aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal
) -> None:
    cloud.refused["CreateModel"] = ("AccessDeniedException", "no")
    with pytest.raises(AwsRefused):
        deploy(aws, wanted, journal, cloud.sleep)
    assert find(aws, "flights") == NOTHING
    delete(aws, find(aws, "flights", BUCKET), journal, cloud.sleep)
    assert left() == []


def test_a_bucket_of_another_region_is_refused(aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal) -> None:
    """What is below its prefix belongs to an endpoint there, which may be serving."""
    deploy(aws, wanted, journal, cloud.sleep)
    with pytest.raises(RequestRefused, match=f"bucket {BUCKET} is in {REGION}, not in us-east-1") as refused:
        find(Aws("us-east-1"), "flights", BUCKET)
    assert f"--region {REGION}" in refused.value.fix
    with pytest.raises(AwsRefused, match="NoSuchBucket"):
        find(aws, "flights", "no-such-bucket")


def test_the_endpoint_is_gone_before_what_it_is_made_of(
    aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal
) -> None:
    deploy(aws, wanted, journal, cloud.sleep)
    found = find(aws, "flights")
    cloud.calls.clear()
    cloud.states = [DELETING, DELETING]
    delete(aws, found, journal, cloud.sleep)
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


def test_answers_of_batches_stay_what_they_were_given_goes(
    aws: Aws, cloud: Cloud, hosted: Hosted, journal: Journal, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").write_text(json.dumps(tiny.record()))
    batch = Batch(hosted, str(tmp_path / "rows.jsonl"), None, str(tmp_path / "answers.jsonl"), "ml.m5.large", 1)
    transform(aws, batch, journal, cloud.sleep)
    delete(aws, find(aws, "flights"), journal, cloud.sleep)
    assert [key.split("/")[0] for key in left()] == ["fastmar-answers"]
