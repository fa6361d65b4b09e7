"""Real-time endpoints: create one, or update it by SageMaker's blue/green deployment, and wait until it serves."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from fastmar_serving.clouds.sagemaker import names, scaling
from fastmar_serving.clouds.sagemaker.aws import Aws
from fastmar_serving.clouds.sagemaker.errors import EndpointFailed, EndpointNotUpdatable, RequestRefused
from fastmar_serving.clouds.sagemaker.model import Model, ModelOptions, ensure_model
from fastmar_serving.clouds.sagemaker.progress import Progress
from fastmar_serving.clouds.sagemaker.scaling import VARIANT, Scaling

POLL = 10.0  # seconds between two polls
MAX_UNCHANGED_POLLS = 3  # of an endpoint whose update does not show yet; more mean that it was rolled back
IN_SERVICE, FAILED = "InService", "Failed"
# Media types that data capture stores as text; it stores others, such as pictures, in base64.
_JSON_TYPES, _CSV_TYPES = ["application/json", "application/jsonlines"], ["text/csv"]
# With scaling, an update keeps the current number of instances, but takes data capture from the configuration.
_RETAIN: dict[str, Any] = {
    "RetainAllVariantProperties": True,
    "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DataCaptureConfig"}],
}
_RETAIN_OPTIONS = (
    " --retain-all-variant-properties --exclude-retained-variant-properties VariantPropertyType=DataCaptureConfig"
)

Sleep = Callable[[float], None]


@dataclass(frozen=True)
class Capture:
    """Data capture: SageMaker stores requests and answers in S3.

    Attributes:
        uri: S3 URI of the destination.
        percent: percentage of the requests.
    """

    uri: str
    percent: int


@dataclass(frozen=True)
class EndpointOptions:
    """Options of `deploy`.

    Attributes:
        model_options: archives, image, role.
        instance_type: the type of each instance, such as ml.m5.large.
        count: initial number of instances.
        startup: seconds until a container must answer /ping with 200.
        scaling: automatic scaling; None does not change it.
        capture: data capture; None disables it.
    """

    model_options: ModelOptions
    instance_type: str
    count: int
    startup: int
    scaling: Scaling | None = None
    capture: Capture | None = None


@dataclass(frozen=True)
class EndpointResult:
    """An endpoint in service.

    Attributes:
        name: its name.
        config: its configuration.
        rollback_command: the command that restores the previous configuration; None if there is none, or no change.
    """

    name: str
    config: str
    rollback_command: str | None


def deploy(aws: Aws, options: EndpointOptions, progress: Progress, sleep: Sleep = time.sleep) -> EndpointResult:
    """Create or update the endpoint and wait until it is in service. A repeated call continues where it stopped.

    Raises:
        EndpointNotUpdatable: the endpoint is being changed otherwise, or can only be deleted.
        EndpointFailed: the container did not become healthy; SageMaker's reason is in the message.
    """
    name = options.model_options.name
    existing = describe(aws, name)
    _refuse_unchangeable(aws, name, existing)
    with progress.report_created(_what_next(aws, options.model_options, existing)):
        model = ensure_model(aws, options.model_options, progress)
        config = _ensure_config(aws, model, options, progress)
        previous = _create_or_update(aws, model, options, config, existing, progress, sleep)
        _ensure_scaling(aws, name, options.scaling, existing, progress)
        return EndpointResult(name, config, previous and _rollback_command(aws, name, previous, options.instance_type))


def describe(aws: Aws, name: str) -> dict[str, Any] | None:
    """SageMaker's description of an endpoint, None if it does not exist.

    Raises:
        RequestRefused: the name is not valid.
    """
    return aws.find("sagemaker", "describe_endpoint", EndpointName=names.check_name(name))


def delete_command(aws: Aws, name: str, bucket: str | None = None) -> str:
    """The command that deletes an endpoint and its resources."""
    return f"fastmar sagemaker delete {name}{f' --bucket {bucket}' if bucket else ''} --region {aws.region}"


def is_made_by_fastmar(aws: Aws, arn: str, name: str) -> bool:
    """Whether fastmar created a resource for the endpoint `name`."""
    found = aws.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn)
    return {"Key": names.NAME_TAG, "Value": name} in list(found)


def _what_next(aws: Aws, model_options: ModelOptions, existing: dict[str, Any] | None) -> str:
    """Advice after a failure. Does not suggest `delete` if the endpoint existed before."""
    name = model_options.name
    if existing is None:
        delete = delete_command(aws, name, model_options.bucket)
        return f"Run the command again to continue, or remove all with `{delete}`."
    serves = existing["EndpointStatus"] == IN_SERVICE
    return f"Run the command again to continue{f'; endpoint {name} stays in service' if serves else ''}."


def _rollback_command(aws: Aws, name: str, previous: str, instance_type: str) -> str:
    """The command that restores a configuration."""
    scales, previous_type = scaling.current(aws, name) is not None, _instance_type(aws, previous)
    if scales and previous_type != instance_type:  # SageMaker would refuse it; `deploy` pauses scaling
        options = f"--instance-type {previous_type} --region {aws.region}"
        return f"fastmar sagemaker deploy OLD.mar {options} and the other options"
    command = f"aws sagemaker update-endpoint --endpoint-name {name} --region {aws.region}"
    return f"{command} --endpoint-config-name {previous}{_RETAIN_OPTIONS if scales else ''}"


def _refuse_unchangeable(aws: Aws, name: str, endpoint: dict[str, Any] | None) -> None:
    if endpoint is None:
        return
    if not is_made_by_fastmar(aws, endpoint["EndpointArn"], name):
        raise RequestRefused(
            f"the endpoint {name} exists, and fastmar did not create it.",
            fix="give another --name.",
            code="foreign_endpoint",
        )
    if endpoint["EndpointStatus"] == FAILED:
        raise EndpointNotUpdatable(
            f"endpoint {name} has failed ({endpoint.get('FailureReason', 'SageMaker gives no reason')}), "
            "and can only be deleted.",
            fix=f"run `{delete_command(aws, name)}`, then deploy again.",
            code="endpoint_has_failed",
        )


def _ensure_config(aws: Aws, model: Model, options: EndpointOptions, progress: Progress) -> str:
    parameters: dict[str, Any] = {
        "ProductionVariants": [
            {
                "VariantName": VARIANT,
                "ModelName": model.name,
                "InstanceType": options.instance_type,
                "InitialInstanceCount": options.count,
                "ContainerStartupHealthCheckTimeoutInSeconds": options.startup,
            }
        ]
    }
    if options.capture:
        parameters["DataCaptureConfig"] = _capture(options.capture)
    name = names.derive_name(model.group, parameters)
    if aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=name):
        progress.exists(f"configuration {name}")
    else:
        aws.call("sagemaker", "create_endpoint_config", EndpointConfigName=name, Tags=model.tags, **parameters)
        progress.created(f"configuration {name}")
    return name


def _capture(capture: Capture) -> dict[str, Any]:
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": capture.percent,
        "DestinationS3Uri": capture.uri,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": _JSON_TYPES, "CsvContentTypes": _CSV_TYPES},
    }


def _create_or_update(
    aws: Aws,
    model: Model,
    options: EndpointOptions,
    config: str,
    existing: dict[str, Any] | None,
    progress: Progress,
    sleep: Sleep,
) -> str | None:
    """Create or update the endpoint, wait, and return its previous configuration."""
    name = model.group
    if existing is None:
        aws.call("sagemaker", "create_endpoint", EndpointName=name, EndpointConfigName=config, Tags=model.tags)
        progress.created(f"endpoint {name}")
        wait(aws, name, config, progress, sleep)
        return None
    pending = _pending(existing)  # during an update, EndpointConfigName is the previous configuration
    if config == (pending or existing["EndpointConfigName"]):
        progress.exists(f"endpoint {name}, {existing['EndpointStatus']}")
        wait(aws, name, config, progress, sleep)
        return None
    if existing["EndpointStatus"] != IN_SERVICE:
        raise EndpointNotUpdatable(
            f"endpoint {name} is being changed{f' to {pending}' if pending else ''} ({existing['EndpointStatus']}).",
            fix="run the command again once it is InService: "
            f"`aws sagemaker wait endpoint-in-service --endpoint-name {name} --region {aws.region}`.",
        )
    previous: str = existing["EndpointConfigName"]
    arn: str = existing["EndpointArn"]
    scaled = scaling.current(aws, name) or scaling.read_paused(aws, arn)
    moves = scaled and _instance_type(aws, previous) != options.instance_type
    with scaling.pause(aws, name, arn, scaled, progress) if scaled and moves else nullcontext():
        retain = _RETAIN if scaled else {}
        aws.call("sagemaker", "update_endpoint", EndpointName=name, EndpointConfigName=config, **retain)
        progress.write(f"update  endpoint {name}: {previous} -> {config}; old instances answer until the new are ready")
        wait(aws, name, config, progress, sleep)
    return previous


def _ensure_scaling(
    aws: Aws, name: str, requested: Scaling | None, existing: dict[str, Any] | None, progress: Progress
) -> None:
    """Apply the requested scaling, else resume the scaling that a killed update had paused."""
    paused = scaling.read_paused(aws, existing["EndpointArn"]) if existing else None
    if existing and paused:
        scaling.resume(aws, name, existing["EndpointArn"], requested or paused, progress)
    elif requested:
        scaling.ensure(aws, name, requested, progress)


def wait(aws: Aws, name: str, config: str, progress: Progress, sleep: Sleep) -> None:
    """Wait until the endpoint is in service with `config`.

    Raises:
        EndpointFailed: the endpoint failed, or was rolled back.
    """
    began, last_status, polls = time.monotonic(), "", 0
    while True:
        endpoint = aws.call("sagemaker", "describe_endpoint", EndpointName=name)
        status = endpoint["EndpointStatus"]
        if status == IN_SERVICE and endpoint["EndpointConfigName"] == config:
            return
        reason = endpoint.get("FailureReason") or "SageMaker gives no reason"
        if status in (FAILED, "UpdateRollbackFailed"):
            raise EndpointFailed(f"endpoint {name}: {reason}", fix=_read_logs(name, aws.region))
        if status == IN_SERVICE and (last_status or polls == MAX_UNCHANGED_POLLS):
            raise EndpointFailed(
                f"SageMaker rolled the endpoint {name} back to {endpoint['EndpointConfigName']}: {reason}",
                fix=_read_logs(name, aws.region),
                code="endpoint_rolled_back",
            )
        polls += 1
        if status not in (IN_SERVICE, last_status):
            last_status = status
            progress.write(f"{status}: this takes some minutes; Ctrl-C ends the waiting, not the deployment")
        progress.stage(f"Endpoint {name} is {status}, {time.monotonic() - began:.0f} s")
        sleep(POLL)


def _read_logs(name: str, region: str) -> str:
    logs = f"aws logs tail /aws/sagemaker/Endpoints/{name} --region {region}"
    return f"read the container's log (`{logs}`), or run `fastmar doctor` on the archive."


def _pending(endpoint: dict[str, Any]) -> str | None:
    """The target configuration of an update in progress."""
    config: str | None = endpoint.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
    return config


def _instance_type(aws: Aws, config: str) -> str:
    found = aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=config) or {}
    variants = found.get("ProductionVariants") or [{}]
    return str(variants[0].get("InstanceType"))
