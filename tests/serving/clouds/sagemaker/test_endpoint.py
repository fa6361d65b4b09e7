"""Endpoints: creation, repeated commands, updates, failures and interruptions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.serving.archives import make_archive
from tests.serving.clouds.sagemaker.conftest import BUCKET, IMAGE, REGION, ROLE, Cloud, keys
from tests.serving.torchserve.conftest import ECHO

from fastmar_serving.clouds.sagemaker import scaling
from fastmar_serving.clouds.sagemaker.aws import Aws
from fastmar_serving.clouds.sagemaker.endpoint import Capture, EndpointOptions, EndpointResult, deploy
from fastmar_serving.clouds.sagemaker.errors import AwsRefused, EndpointFailed, EndpointNotUpdatable, RequestRefused
from fastmar_serving.clouds.sagemaker.model import ModelOptions
from fastmar_serving.clouds.sagemaker.progress import Progress
from fastmar_serving.clouds.sagemaker.scaling import Scaling

CREATING = ("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint", "PutObject")


@pytest.fixture
def options(model_options: ModelOptions) -> EndpointOptions:
    return EndpointOptions(model_options, "ml.m5.large", 1, 480)


@pytest.fixture
def second(options: EndpointOptions, tmp_path: Path) -> EndpointOptions:
    """The same endpoint with another version of the model."""
    archive = make_archive(tmp_path / "next", "flights", ECHO, version="2.0")
    return replace(options, model_options=replace(options.model_options, archives=[archive]))


def created(cloud: Cloud) -> list[str]:
    return [name for name in cloud.names() if name in CREATING]


def tags(cloud: Cloud, operation: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in cloud.parameters_of(operation)["Tags"]}


def kill_during_update(aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress) -> None:
    """Deploy, but stop all requests after UpdateEndpoint, as if the process was killed."""
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
        deploy(aws, options, progress, cloud.sleep)
    del cloud.request


class TestNewEndpoint:
    def test_creates_upload_model_and_configuration(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
    ) -> None:
        result = deploy(aws, options, progress, cloud.sleep)
        (key,) = keys()
        assert key.startswith("fastmar/flights/")
        assert key.endswith("/model.tar.gz")
        model = cloud.parameters_of("CreateModel")
        assert model["PrimaryContainer"] == {
            "Image": IMAGE,
            "ModelDataUrl": f"s3://{BUCKET}/{key}",
            "Environment": {"FASTMAR_READY_TIMEOUT": "480"},
        }
        assert model["ExecutionRoleArn"] == ROLE
        config = cloud.parameters_of("CreateEndpointConfig")
        (variant,) = config["ProductionVariants"]
        assert variant["ModelName"] == model["ModelName"]
        assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.m5.large", 1)
        assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 480
        assert "DataCaptureConfig" not in config
        assert result == EndpointResult("flights", config["EndpointConfigName"], None)
        assert cloud.endpoint("flights").endpoint_config_name == result.config

    def test_tags_all_resources(self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress) -> None:
        deploy(aws, options, progress, cloud.sleep)
        for operation in ("CreateModel", "CreateEndpointConfig", "CreateEndpoint"):
            assert tags(cloud, operation) == {"fastmar:name": "flights", "fastmar:archives": "flights 1.0"}
        assert cloud.parameters_of("CreateModel")["ModelName"].startswith("flights-")

    def test_waits_and_prints_the_status(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress, printed: list[str]
    ) -> None:
        cloud.states = [{"EndpointStatus": "Creating"}, {"EndpointStatus": "Creating"}]
        # The first request, before the creation, finds nothing and takes no state.
        deploy(aws, options, progress, cloud.sleep)
        assert cloud.slept == 2
        assert [line for line in printed if line.startswith("Creating")] != []

    def test_data_capture_stores_csv_and_json_as_text(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
    ) -> None:
        deploy(aws, replace(options, capture=Capture("s3://elsewhere/captured", 20)), progress, cloud.sleep)
        capture = cloud.parameters_of("CreateEndpointConfig")["DataCaptureConfig"]
        assert capture["DestinationS3Uri"] == "s3://elsewhere/captured"
        assert capture["InitialSamplingPercentage"] == 20
        assert capture["CaptureContentTypeHeader"]["CsvContentTypes"] == ["text/csv"]
        assert {option["CaptureMode"] for option in capture["CaptureOptions"]} == {"Input", "Output"}

    def test_scaling_by_requests(self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress) -> None:
        deploy(aws, replace(options, scaling=Scaling(1, 4, 600)), progress, cloud.sleep)
        assert scaling.current(aws, "flights") == Scaling(1, 4, 600)
        policy = cloud.parameters_of("PutScalingPolicy")
        tracking = policy["TargetTrackingScalingPolicyConfiguration"]
        assert policy["ResourceId"] == "endpoint/flights/variant/AllTraffic"
        assert tracking["PredefinedMetricSpecification"] == {
            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
        }


class TestRepeatedDeploy:
    def test_creates_nothing_twice(self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress) -> None:
        options = replace(options, scaling=Scaling(1, 4, 600))
        first = deploy(aws, options, progress, cloud.sleep)
        cloud.calls.clear()
        assert deploy(aws, options, progress, cloud.sleep) == first
        assert created(cloud) == []
        assert "PutScalingPolicy" not in cloud.names()

    @pytest.mark.parametrize("stops_at", ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"])
    def test_continues_where_it_stopped_and_lists_created_resources(
        self, stops_at: str, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
    ) -> None:
        cloud.refused[stops_at] = ("ResourceLimitExceeded", "The account-level limit is 0 Instances")
        with pytest.raises(AwsRefused) as refused:
            deploy(aws, options, progress, cloud.sleep)
        assert "limit is 0 Instances" in refused.value.message
        assert "quota" in refused.value.fix
        assert f"s3://{BUCKET}/" in refused.value.fix
        assert f"fastmar sagemaker delete flights --bucket {BUCKET} --region {REGION}" in refused.value.fix
        before = created(cloud)[:-1]  # the last one was refused
        cloud.refused.clear()
        cloud.calls.clear()
        deploy(aws, options, Progress(lambda _: None, lambda _: None), cloud.sleep)
        assert created(cloud)[0] == stops_at
        assert not set(before) & set(created(cloud))

    def test_repeats_an_incomplete_upload(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
    ) -> None:
        deploy(aws, options, progress, cloud.sleep)
        aws.put(b"half", f"s3://{BUCKET}/{keys()[0]}")
        cloud.calls.clear()
        deploy(aws, options, progress, cloud.sleep)
        assert created(cloud) == ["PutObject"]

    def test_waits_for_an_endpoint_that_is_being_created(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
    ) -> None:
        deploy(aws, options, progress, cloud.sleep)
        cloud.calls.clear()
        cloud.states = [{"EndpointStatus": "Creating"}, {"EndpointStatus": "Creating"}, {}]
        deploy(aws, options, progress, cloud.sleep)
        assert created(cloud) == []
        assert cloud.slept == 1

    def test_ctrl_c_lists_created_resources(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress, printed: list[str]
    ) -> None:
        cloud.states = [KeyboardInterrupt()]
        with pytest.raises(KeyboardInterrupt):
            deploy(aws, options, progress, cloud.sleep)
        assert printed[-1].startswith("Interrupted.")
        assert f"s3://{BUCKET}/" in printed[-1]
        assert "endpoint flights" in printed[-1]


class TestUpdate:
    def test_uses_a_new_configuration_and_returns_a_rollback_command(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, second: EndpointOptions, progress: Progress
    ) -> None:
        first = deploy(aws, options, progress, cloud.sleep)
        cloud.calls.clear()
        result = deploy(aws, second, progress, cloud.sleep)
        assert created(cloud) == ["PutObject", "CreateModel", "CreateEndpointConfig", "UpdateEndpoint"]
        assert result.config != first.config
        assert result.rollback_command is not None
        assert result.rollback_command.endswith(f" --endpoint-config-name {first.config}")
        assert cloud.endpoint("flights").endpoint_config_name == result.config
        assert "RetainAllVariantProperties" not in cloud.parameters_of("UpdateEndpoint")

    def test_deploying_the_old_version_again_reuses_its_resources(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, second: EndpointOptions, progress: Progress
    ) -> None:

        first = deploy(aws, options, progress, cloud.sleep)
        deploy(aws, second, progress, cloud.sleep)
        cloud.calls.clear()
        assert deploy(aws, options, progress, cloud.sleep).config == first.config
        assert created(cloud) == ["UpdateEndpoint"]

    def test_rolled_back_by_sagemaker(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, second: EndpointOptions, progress: Progress
    ) -> None:
        first = deploy(aws, options, progress, cloud.sleep)
        reason = "The primary container did not pass the ping health check."
        old = {"EndpointConfigName": first.config}
        cloud.states = [{}, {"EndpointStatus": "Updating", **old}, {**old, "FailureReason": reason}]
        with pytest.raises(EndpointFailed) as failed:
            deploy(aws, second, progress, cloud.sleep)
        assert reason in failed.value.message
        assert first.config in failed.value.message
        assert "/aws/sagemaker/Endpoints/flights" in failed.value.fix
        assert f"s3://{BUCKET}/" in failed.value.fix
        assert "endpoint flights stays in service" in failed.value.fix
        assert "sagemaker delete" not in failed.value.fix  # it would remove the endpoint in service

    def test_interrupted(
        self,
        aws: Aws,
        cloud: Cloud,
        options: EndpointOptions,
        second: EndpointOptions,
        progress: Progress,
        printed: list[str],
    ) -> None:
        deploy(aws, options, progress, cloud.sleep)
        cloud.states = [{}, KeyboardInterrupt()]
        with pytest.raises(KeyboardInterrupt):
            deploy(aws, second, progress, cloud.sleep)
        assert "endpoint flights stays in service" in printed[-1]
        assert "sagemaker delete" not in printed[-1]

    def test_waits_until_sagemaker_begins(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, second: EndpointOptions, progress: Progress
    ) -> None:
        first = deploy(aws, options, progress, cloud.sleep)
        cloud.states = [{}, {"EndpointConfigName": first.config}, {"EndpointConfigName": first.config}]
        assert first.config in (deploy(aws, second, progress, cloud.sleep).rollback_command or "")

    def test_sagemaker_never_begins(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, second: EndpointOptions, progress: Progress
    ) -> None:
        first = deploy(aws, options, progress, cloud.sleep)
        cloud.states = [{}, *[{"EndpointConfigName": first.config}] * 20]
        with pytest.raises(EndpointFailed) as failed:
            deploy(aws, second, progress, cloud.sleep)
        assert failed.value.code == "endpoint_rolled_back"

    def test_keeps_the_current_number_of_instances(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, second: EndpointOptions, progress: Progress
    ) -> None:
        deploy(aws, replace(options, scaling=Scaling(1, 4, 600)), progress, cloud.sleep)
        deploy(aws, second, progress, cloud.sleep)
        update = cloud.parameters_of("UpdateEndpoint")
        assert update["RetainAllVariantProperties"] is True
        assert update["ExcludeRetainedVariantProperties"] == [{"VariantPropertyType": "DataCaptureConfig"}]
        assert "DeregisterScalableTarget" not in cloud.names()
        assert scaling.current(aws, "flights") == Scaling(1, 4, 600)

    def test_another_instance_type_pauses_scaling(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
    ) -> None:
        deploy(aws, replace(options, scaling=Scaling(1, 4, 600)), progress, cloud.sleep)
        cloud.calls.clear()
        deploy(aws, replace(options, instance_type="ml.m5.xlarge"), progress, cloud.sleep)
        order = [n for n in cloud.names() if n in ("DeregisterScalableTarget", "UpdateEndpoint", "PutScalingPolicy")]
        assert order == ["DeregisterScalableTarget", "UpdateEndpoint", "PutScalingPolicy"]
        assert scaling.current(aws, "flights") == Scaling(1, 4, 600)

    def test_prints_the_paused_scaling(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress, printed: list[str]
    ) -> None:
        deploy(aws, replace(options, scaling=Scaling(1, 4, 600)), progress, cloud.sleep)
        deploy(aws, replace(options, instance_type="ml.m5.xlarge"), progress, cloud.sleep)
        [line] = [line for line in printed if line.startswith("paused")]
        assert "1 to 4 instances" in line
        assert "600 requests" in line

    @pytest.mark.parametrize("again", ["ml.m5.xlarge", "ml.m5.2xlarge"])
    def test_repeated_after_kill_resumes_scaling(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress, again: str
    ) -> None:
        deploy(aws, replace(options, scaling=Scaling(1, 4, 600.5)), progress, cloud.sleep)
        kill_during_update(aws, cloud, replace(options, instance_type="ml.m5.xlarge"), progress)
        assert scaling.current(aws, "flights") is None
        deploy(aws, replace(options, instance_type=again), progress, cloud.sleep)
        assert scaling.current(aws, "flights") == Scaling(1, 4, 600.5)

    def test_repeated_after_kill_with_other_scaling(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
    ) -> None:
        deploy(aws, replace(options, scaling=Scaling(1, 4, 600)), progress, cloud.sleep)
        larger = replace(options, instance_type="ml.m5.xlarge")
        kill_during_update(aws, cloud, larger, progress)
        deploy(aws, replace(larger, scaling=Scaling(2, 3, 100)), progress, cloud.sleep)
        assert scaling.current(aws, "flights") == Scaling(2, 3, 100)

    def test_scaling_that_was_removed_later_is_not_resumed(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
    ) -> None:
        deploy(aws, replace(options, scaling=Scaling(1, 4, 600)), progress, cloud.sleep)
        larger = replace(options, instance_type="ml.m5.xlarge")
        kill_during_update(aws, cloud, larger, progress)
        for is_resumed in (True, False):
            deploy(aws, larger, progress, cloud.sleep)
            assert scaling.remove(aws, "flights") is is_resumed

    @pytest.mark.parametrize("value", ["", "1 4", "4 1 600", "one 4 600"])
    def test_ignores_an_invalid_tag_of_paused_scaling(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress, value: str
    ) -> None:
        deploy(aws, options, progress, cloud.sleep)
        cloud.endpoint("flights").tags.append({"Key": "fastmar:paused-scaling", "Value": value})
        deploy(aws, options, progress, cloud.sleep)
        assert scaling.current(aws, "flights") is None

    def test_failure_keeps_scaling(self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress) -> None:
        deploy(aws, replace(options, scaling=Scaling(1, 4, 600)), progress, cloud.sleep)
        cloud.refused["UpdateEndpoint"] = ("ValidationException", "no such instance type")
        with pytest.raises(AwsRefused):
            deploy(aws, replace(options, instance_type="ml.m5.xlarge"), progress, cloud.sleep)
        assert scaling.current(aws, "flights") == Scaling(1, 4, 600)


class TestRefusals:
    def test_container_does_not_become_healthy(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
    ) -> None:
        reason = "The primary container for production variant AllTraffic did not pass the ping health check."
        cloud.states = [{"EndpointStatus": "Creating"}, {"EndpointStatus": "Failed", "FailureReason": reason}]
        with pytest.raises(EndpointFailed) as failed:
            deploy(aws, options, progress, cloud.sleep)
        assert reason in failed.value.message
        assert "aws logs tail /aws/sagemaker/Endpoints/flights --region eu-west-1" in failed.value.fix
        assert f"s3://{BUCKET}/" in failed.value.fix

    def test_failed_endpoint_can_only_be_deleted(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
    ) -> None:
        deploy(aws, options, progress, cloud.sleep)
        cloud.endpoint("flights").endpoint_status = "Failed"
        with pytest.raises(EndpointNotUpdatable) as refused:
            deploy(aws, options, progress, cloud.sleep)
        assert refused.value.code == "endpoint_has_failed"
        assert f"fastmar sagemaker delete flights --region {REGION}" in refused.value.fix

    def test_refuses_an_endpoint_that_is_being_updated(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, second: EndpointOptions, progress: Progress
    ) -> None:
        deploy(aws, options, progress, cloud.sleep)
        cloud.states = [{"EndpointStatus": "Updating"}]
        with pytest.raises(EndpointNotUpdatable) as refused:
            deploy(aws, second, progress, cloud.sleep)
        assert "Updating" in refused.value.message

    def test_refuses_the_old_version_during_an_update(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, second: EndpointOptions, progress: Progress
    ) -> None:
        """During an update, EndpointConfigName is still the old configuration."""
        first, other = deploy(aws, options, progress, cloud.sleep), deploy(aws, second, progress, cloud.sleep)
        updating = {
            "EndpointStatus": "Updating",
            "EndpointConfigName": first.config,
            "PendingDeploymentSummary": {"EndpointConfigName": other.config},
        }
        cloud.states = [updating, updating]
        with pytest.raises(EndpointNotUpdatable) as refused:
            deploy(aws, options, progress, cloud.sleep)
        assert other.config in refused.value.message
        assert f"aws sagemaker wait endpoint-in-service --endpoint-name flights --region {REGION}" in refused.value.fix
        # The version of the update is not refused: deploy waits for it.
        assert deploy(aws, second, progress, cloud.sleep) == replace(other, rollback_command=None)

    def test_refuses_an_endpoint_that_fastmar_did_not_create(
        self, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
    ) -> None:
        deploy(aws, options, progress, cloud.sleep)
        cloud.endpoint("flights").tags = []
        cloud.calls.clear()
        with pytest.raises(RequestRefused) as refused:
            deploy(aws, options, progress, cloud.sleep)
        assert refused.value.code == "foreign_endpoint"
        assert created(cloud) == []

    @pytest.mark.parametrize("bounds", [(0, 4), (3, 2)])
    def test_refuses_invalid_ranges(self, bounds: tuple[int, int]) -> None:
        with pytest.raises(RequestRefused):
            Scaling(*bounds, 100)

    @pytest.mark.parametrize("name", ["under_score", "-dash", "x" * 41, ""])
    def test_refuses_invalid_endpoint_names(
        self, name: str, aws: Aws, cloud: Cloud, options: EndpointOptions, progress: Progress
    ) -> None:
        bad: dict[str, Any] = {"name": name}
        with pytest.raises(RequestRefused) as refused:
            deploy(aws, replace(options, model_options=replace(options.model_options, **bad)), progress, cloud.sleep)
        assert refused.value.code == "invalid_endpoint_name"
        assert keys() == []
