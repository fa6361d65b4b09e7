"""Endpoints: made, made again, updated, failed, and interrupted half-way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.serving.clouds.sagemaker.conftest import BUCKET, IMAGE, REGION, ROLE, Cloud, keys
from tests.serving.torchserve.conftest import ECHO, make_archive

from fastmar_serving.clouds.sagemaker import scaling
from fastmar_serving.clouds.sagemaker.aws import Aws
from fastmar_serving.clouds.sagemaker.endpoint import Capture, Deployed, Wanted, deploy
from fastmar_serving.clouds.sagemaker.errors import AwsRefused, EndpointBusy, EndpointFailed, RequestRefused
from fastmar_serving.clouds.sagemaker.journal import Journal
from fastmar_serving.clouds.sagemaker.model import Hosted
from fastmar_serving.clouds.sagemaker.scaling import Scaling

MADE = ("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint", "PutObject")


@pytest.fixture
def wanted(hosted: Hosted) -> Wanted:
    return Wanted(hosted, "ml.m5.large", 1, 480)


@pytest.fixture
def second(wanted: Wanted, tmp_path: Path) -> Wanted:
    """The same endpoint with another version of the model."""
    archive = make_archive(tmp_path / "next", "flights", ECHO, version="2.0")
    return replace(wanted, hosted=replace(wanted.hosted, archives=[archive]))


def made(cloud: Cloud) -> list[str]:
    return [name for name in cloud.names() if name in MADE]


def tags(cloud: Cloud, operation: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in cloud.asked(operation)["Tags"]}


def killed(aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal) -> None:
    """Deploy, but for what comes after the endpoint began to change: a process that is killed undoes nothing."""
    calls: list[str] = []

    class Killed(BaseException):
        pass

    def request(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if "UpdateEndpoint" in calls:
            raise Killed
        calls.append(operation)
        return Cloud.request(cloud, client, operation, parameters)

    cloud.request = request  # type: ignore[method-assign]
    with pytest.raises(Killed):
        deploy(aws, wanted, journal, cloud.sleep)
    del cloud.request


class TestANewEndpoint:
    def test_is_made_of_archives_in_s3_a_model_and_a_configuration(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal
    ) -> None:
        deployed = deploy(aws, wanted, journal, cloud.sleep)
        (key,) = keys()
        assert key.startswith("fastmar/flights/")
        assert key.endswith("/model.tar.gz")
        model = cloud.asked("CreateModel")
        assert model["PrimaryContainer"] == {
            "Image": IMAGE,
            "ModelDataUrl": f"s3://{BUCKET}/{key}",
            "Environment": {"FASTMAR_READY_TIMEOUT": "480"},
        }
        assert model["ExecutionRoleArn"] == ROLE
        config = cloud.asked("CreateEndpointConfig")
        (variant,) = config["ProductionVariants"]
        assert variant["ModelName"] == model["ModelName"]
        assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.m5.large", 1)
        assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 480
        assert "DataCaptureConfig" not in config
        assert deployed == Deployed("flights", config["EndpointConfigName"], None)
        assert cloud.endpoint("flights").endpoint_config_name == deployed.config

    def test_everything_carries_its_name(self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal) -> None:
        deploy(aws, wanted, journal, cloud.sleep)
        for operation in ("CreateModel", "CreateEndpointConfig", "CreateEndpoint"):
            assert tags(cloud, operation) == {"fastmar:name": "flights", "fastmar:archives": "flights 1.0"}
        assert cloud.asked("CreateModel")["ModelName"].startswith("flights-")

    def test_is_waited_for_and_its_states_are_told(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal, said: list[str]
    ) -> None:
        cloud.states = [{"EndpointStatus": "Creating"}, {"EndpointStatus": "Creating"}]
        # The first look, before it is made, finds nothing and takes no state.
        deploy(aws, wanted, journal, cloud.sleep)
        assert cloud.slept == 2
        assert [line for line in said if line.startswith("Creating")] != []

    def test_data_capture_keeps_tables_and_json_readable(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal
    ) -> None:
        deploy(aws, replace(wanted, capture=Capture("s3://elsewhere/captured", 20)), journal, cloud.sleep)
        capture = cloud.asked("CreateEndpointConfig")["DataCaptureConfig"]
        assert capture["DestinationS3Uri"] == "s3://elsewhere/captured"
        assert capture["InitialSamplingPercentage"] == 20
        assert capture["CaptureContentTypeHeader"]["CsvContentTypes"] == ["text/csv"]
        assert {option["CaptureMode"] for option in capture["CaptureOptions"]} == {"Input", "Output"}

    def test_scales_by_requests(self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal) -> None:
        deploy(aws, replace(wanted, scaling=Scaling(1, 4, 600)), journal, cloud.sleep)
        assert scaling.current(aws, "flights") == Scaling(1, 4, 600)
        policy = cloud.asked("PutScalingPolicy")
        tracking = policy["TargetTrackingScalingPolicyConfiguration"]
        assert policy["ResourceId"] == "endpoint/flights/variant/AllTraffic"
        assert tracking["PredefinedMetricSpecification"] == {
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        }


class TestAgain:
    def test_the_same_makes_nothing_twice(self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal) -> None:
        wanted = replace(wanted, scaling=Scaling(1, 4, 600))
        first = deploy(aws, wanted, journal, cloud.sleep)
        cloud.calls.clear()
        assert deploy(aws, wanted, journal, cloud.sleep) == first
        assert made(cloud) == []
        assert "PutScalingPolicy" not in cloud.names()

    @pytest.mark.parametrize("stops_at", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"])
    def test_it_goes_on_where_it_stopped_and_tells_what_is_there(
        self, stops_at: str, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal
    ) -> None:
        cloud.refused[stops_at] = ("ResourceLimitExceeded", "The account-level limit is 0 Instances")
        with pytest.raises(AwsRefused) as refused:
            deploy(aws, wanted, journal, cloud.sleep)
        assert "limit is 0 Instances" in str(refused.value)
        assert "quota" in refused.value.fix
        assert "still there: s3://" in refused.value.fix
        assert f"fastmar sagemaker delete flights --bucket {BUCKET} --region {REGION}" in refused.value.fix
        before = made(cloud)[:-1]  # the last one was refused
        cloud.refused.clear()
        cloud.calls.clear()
        deploy(aws, wanted, Journal(lambda _: None, lambda _: None), cloud.sleep)
        assert made(cloud)[0] == stops_at
        assert not set(before) & set(made(cloud))

    def test_an_upload_that_was_cut_off_is_done_again(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal
    ) -> None:
        deploy(aws, wanted, journal, cloud.sleep)
        aws.put(b"half", f"s3://{BUCKET}/{keys()[0]}")
        cloud.calls.clear()
        deploy(aws, wanted, journal, cloud.sleep)
        assert made(cloud) == ["PutObject"]

    def test_one_that_is_being_made_is_waited_for(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal
    ) -> None:
        deploy(aws, wanted, journal, cloud.sleep)
        cloud.calls.clear()
        cloud.states = [{"EndpointStatus": "Creating"}, {"EndpointStatus": "Creating"}, {}]
        deploy(aws, wanted, journal, cloud.sleep)
        assert made(cloud) == []
        assert cloud.slept == 1

    def test_ctrl_c_tells_what_is_there(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal, said: list[str]
    ) -> None:
        cloud.states = [KeyboardInterrupt()]
        with pytest.raises(KeyboardInterrupt):
            deploy(aws, wanted, journal, cloud.sleep)
        assert said[-1].startswith("Interrupted. Made, and still there: s3://")
        assert "endpoint flights" in said[-1]


class TestAnUpdate:
    def test_moves_to_a_new_configuration_and_names_the_one_before(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, second: Wanted, journal: Journal
    ) -> None:
        first = deploy(aws, wanted, journal, cloud.sleep)
        cloud.calls.clear()
        deployed = deploy(aws, second, journal, cloud.sleep)
        assert made(cloud) == ["PutObject", "CreateModel", "CreateEndpointConfig", "UpdateEndpoint"]
        assert deployed.config != first.config
        assert deployed.back is not None
        assert deployed.back.endswith(f" --endpoint-config-name {first.config}")
        assert cloud.endpoint("flights").endpoint_config_name == deployed.config
        assert "RetainAllVariantProperties" not in cloud.asked("UpdateEndpoint")

    def test_back_is_the_same_way(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, second: Wanted, journal: Journal
    ) -> None:
        """Deploying the first again finds all of it there, and updates to it."""
        first = deploy(aws, wanted, journal, cloud.sleep)
        deploy(aws, second, journal, cloud.sleep)
        cloud.calls.clear()
        assert deploy(aws, wanted, journal, cloud.sleep).config == first.config
        assert made(cloud) == ["UpdateEndpoint"]

    def test_that_sagemaker_rolled_back_is_an_error(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, second: Wanted, journal: Journal
    ) -> None:
        first = deploy(aws, wanted, journal, cloud.sleep)
        reason = "The primary container did not pass the ping health check."
        old = {"EndpointConfigName": first.config}
        cloud.states = [{}, {"EndpointStatus": "Updating", **old}, {**old, "FailureReason": reason}]
        with pytest.raises(EndpointFailed) as failed:
            deploy(aws, second, journal, cloud.sleep)
        assert reason in failed.value.message
        assert first.config in failed.value.message
        assert "/aws/sagemaker/Endpoints/flights" in failed.value.fix
        assert "still there: s3://" in failed.value.fix
        assert "endpoint flights stays in service" in failed.value.fix
        assert "sagemaker delete" not in failed.value.fix  # it would remove what serves

    def test_that_is_interrupted_leaves_what_serves(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, second: Wanted, journal: Journal, said: list[str]
    ) -> None:
        deploy(aws, wanted, journal, cloud.sleep)
        cloud.states = [{}, KeyboardInterrupt()]
        with pytest.raises(KeyboardInterrupt):
            deploy(aws, second, journal, cloud.sleep)
        assert "endpoint flights stays in service" in said[-1]
        assert "sagemaker delete" not in said[-1]

    def test_that_has_not_begun_yet_is_no_rollback(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, second: Wanted, journal: Journal
    ) -> None:
        first = deploy(aws, wanted, journal, cloud.sleep)
        cloud.states = [{}, {"EndpointConfigName": first.config}, {"EndpointConfigName": first.config}]
        assert first.config in (deploy(aws, second, journal, cloud.sleep).back or "")

    def test_that_never_begins_is_an_error(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, second: Wanted, journal: Journal
    ) -> None:
        first = deploy(aws, wanted, journal, cloud.sleep)
        cloud.states = [{}, *[{"EndpointConfigName": first.config}] * 20]
        with pytest.raises(EndpointFailed, match="answers as before"):
            deploy(aws, second, journal, cloud.sleep)

    def test_keeps_the_instances_that_scaling_came_to(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, second: Wanted, journal: Journal
    ) -> None:
        deploy(aws, replace(wanted, scaling=Scaling(1, 4, 600)), journal, cloud.sleep)
        deploy(aws, second, journal, cloud.sleep)
        update = cloud.asked("UpdateEndpoint")
        assert update["RetainAllVariantProperties"] is True
        assert update["ExcludeRetainedVariantProperties"] == [{"VariantPropertyType": "DataCaptureConfig"}]
        assert "DeregisterScalableTarget" not in cloud.names()
        assert scaling.current(aws, "flights") == Scaling(1, 4, 600)

    def test_to_other_instances_pauses_scaling(self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal) -> None:
        deploy(aws, replace(wanted, scaling=Scaling(1, 4, 600)), journal, cloud.sleep)
        cloud.calls.clear()
        deploy(aws, replace(wanted, instance_type="ml.m5.xlarge"), journal, cloud.sleep)
        order = [n for n in cloud.names() if n in ("DeregisterScalableTarget", "UpdateEndpoint", "PutScalingPolicy")]
        assert order == ["DeregisterScalableTarget", "UpdateEndpoint", "PutScalingPolicy"]
        assert scaling.current(aws, "flights") == Scaling(1, 4, 600)

    def test_the_pause_tells_what_scaling_was(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal, said: list[str]
    ) -> None:
        deploy(aws, replace(wanted, scaling=Scaling(1, 4, 600)), journal, cloud.sleep)
        deploy(aws, replace(wanted, instance_type="ml.m5.xlarge"), journal, cloud.sleep)
        [told] = [line for line in said if line.startswith("paused")]
        assert "1 to 4 instances at 600 requests a minute each" in told

    @pytest.mark.parametrize("again", ["ml.m5.xlarge", "ml.m5.2xlarge"])
    def test_that_is_killed_gives_scaling_back_when_it_is_run_again(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal, again: str
    ) -> None:
        deploy(aws, replace(wanted, scaling=Scaling(1, 4, 600.5)), journal, cloud.sleep)
        killed(aws, cloud, replace(wanted, instance_type="ml.m5.xlarge"), journal)
        assert scaling.current(aws, "flights") is None
        deploy(aws, replace(wanted, instance_type=again), journal, cloud.sleep)
        assert scaling.current(aws, "flights") == Scaling(1, 4, 600.5)

    def test_that_is_killed_is_run_again_with_other_scaling(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal
    ) -> None:
        deploy(aws, replace(wanted, scaling=Scaling(1, 4, 600)), journal, cloud.sleep)
        larger = replace(wanted, instance_type="ml.m5.xlarge")
        killed(aws, cloud, larger, journal)
        deploy(aws, replace(larger, scaling=Scaling(2, 3, 100)), journal, cloud.sleep)
        assert scaling.current(aws, "flights") == Scaling(2, 3, 100)

    def test_scaling_that_somebody_removed_stays_removed(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal
    ) -> None:
        deploy(aws, replace(wanted, scaling=Scaling(1, 4, 600)), journal, cloud.sleep)
        larger = replace(wanted, instance_type="ml.m5.xlarge")
        killed(aws, cloud, larger, journal)
        for is_given_back in (True, False):
            deploy(aws, larger, journal, cloud.sleep)
            assert scaling.remove(aws, "flights") is is_given_back

    @pytest.mark.parametrize("value", ["", "1 4", "4 1 600", "one 4 600"])
    def test_a_tag_that_tells_no_scaling_is_passed_over(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal, value: str
    ) -> None:
        deploy(aws, wanted, journal, cloud.sleep)
        cloud.endpoint("flights").tags.append({"Key": "fastmar:paused-scaling", "Value": value})
        deploy(aws, wanted, journal, cloud.sleep)
        assert scaling.current(aws, "flights") is None

    def test_that_fails_leaves_scaling_as_it_was(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal
    ) -> None:
        deploy(aws, replace(wanted, scaling=Scaling(1, 4, 600)), journal, cloud.sleep)
        cloud.refused["UpdateEndpoint"] = ("ValidationException", "no such instance type")
        with pytest.raises(AwsRefused):
            deploy(aws, replace(wanted, instance_type="ml.m5.xlarge"), journal, cloud.sleep)
        assert scaling.current(aws, "flights") == Scaling(1, 4, 600)


class TestRefusals:
    def test_a_container_that_never_gets_healthy(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal
    ) -> None:
        reason = "The primary container for production variant AllTraffic did not pass the ping health check."
        cloud.states = [{"EndpointStatus": "Creating"}, {"EndpointStatus": "Failed", "FailureReason": reason}]
        with pytest.raises(EndpointFailed) as failed:
            deploy(aws, wanted, journal, cloud.sleep)
        assert reason in failed.value.message
        assert "aws logs tail /aws/sagemaker/Endpoints/flights --region eu-west-1" in failed.value.fix
        assert "still there" in failed.value.fix

    def test_a_failed_endpoint_can_only_be_deleted(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal
    ) -> None:
        deploy(aws, wanted, journal, cloud.sleep)
        cloud.endpoint("flights").endpoint_status = "Failed"
        with pytest.raises(EndpointBusy, match="only be deleted") as refused:
            deploy(aws, wanted, journal, cloud.sleep)
        assert f"fastmar sagemaker delete flights --region {REGION}" in refused.value.fix

    def test_an_endpoint_that_is_being_changed_to_something_else(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, second: Wanted, journal: Journal
    ) -> None:
        deploy(aws, wanted, journal, cloud.sleep)
        cloud.states = [{"EndpointStatus": "Updating"}]
        with pytest.raises(EndpointBusy, match="Updating"):
            deploy(aws, second, journal, cloud.sleep)

    def test_back_while_it_is_still_on_its_way_to_another_configuration(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, second: Wanted, journal: Journal
    ) -> None:
        """The endpoint names the configuration that serves until the update is through."""
        first, other = deploy(aws, wanted, journal, cloud.sleep), deploy(aws, second, journal, cloud.sleep)
        updating = {
            "EndpointStatus": "Updating",
            "EndpointConfigName": first.config,
            "PendingDeploymentSummary": {"EndpointConfigName": other.config},
        }
        cloud.states = [updating, updating]
        with pytest.raises(EndpointBusy, match=rf"being changed to {other.config} \(Updating\)") as refused:
            deploy(aws, wanted, journal, cloud.sleep)
        assert f"aws sagemaker wait endpoint-in-service --endpoint-name flights --region {REGION}" in refused.value.fix
        assert deploy(aws, second, journal, cloud.sleep) == replace(other, back=None)  # that one is waited for

    def test_somebody_elses_endpoint_is_not_touched(
        self, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal
    ) -> None:
        deploy(aws, wanted, journal, cloud.sleep)
        cloud.endpoint("flights").tags = []
        cloud.calls.clear()
        with pytest.raises(RequestRefused, match="did not make"):
            deploy(aws, wanted, journal, cloud.sleep)
        assert made(cloud) == []

    @pytest.mark.parametrize("bounds", [(0, 4), (3, 2)])
    def test_bounds_that_can_not_be(self, bounds: tuple[int, int]) -> None:
        with pytest.raises(RequestRefused):
            Scaling(*bounds, 100)

    @pytest.mark.parametrize("name", ["under_score", "-dash", "x" * 41, ""])
    def test_names_that_sagemaker_does_not_take(
        self, name: str, aws: Aws, cloud: Cloud, wanted: Wanted, journal: Journal
    ) -> None:
        bad: dict[str, Any] = {"name": name}
        with pytest.raises(RequestRefused, match="can't be an endpoint's name"):
            deploy(aws, replace(wanted, hosted=replace(wanted.hosted, **bad)), journal, cloud.sleep)
        assert keys() == []
