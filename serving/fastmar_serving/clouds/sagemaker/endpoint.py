"""A real-time endpoint: created, or updated by SageMaker's blue/green deployment, and watched until it serves."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from fastmar_serving.clouds.sagemaker import names, scaling
from fastmar_serving.clouds.sagemaker.aws import Aws
from fastmar_serving.clouds.sagemaker.errors import EndpointBusy, EndpointFailed, RequestRefused
from fastmar_serving.clouds.sagemaker.journal import Journal
from fastmar_serving.clouds.sagemaker.model import Hosted, Model, ensure_model
from fastmar_serving.clouds.sagemaker.scaling import VARIANT, Scaling

LOOK = 10.0  # seconds between two looks at an endpoint
PATIENCE = 3  # looks at an endpoint that should be updating and does not say so yet
IN_SERVICE, FAILED = "InService", "Failed"
# Types whose bytes data capture keeps as text; the rest, such as pictures, it keeps in base64.
_JSON_TYPES, _CSV_TYPES = ["application/json", "application/jsonlines"], ["text/csv"]
# With scaling, the number of instances that it came to stays; data capture is what the configuration says.
_KEPT: dict[str, Any] = {
    "RetainAllVariantProperties": True,
    "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DataCaptureConfig"}],
}
_KEPT_WORDS = (
    " --retain-all-variant-properties --exclude-retained-variant-properties VariantPropertyType=DataCaptureConfig"
)

Sleep = Callable[[float], None]


@dataclass(frozen=True)
class Capture:
    """Requests and answers that SageMaker keeps in S3.

    Attributes:
        uri: where.
        percent: how many of a hundred.
    """

    uri: str
    percent: int


@dataclass(frozen=True)
class Wanted:
    """What `deploy` is to bring about.

    Attributes:
        hosted: archives, image, role.
        instance_type: of each instance.
        count: instances at the beginning.
        startup: seconds that a container may take to answer /ping with 200.
        scaling: how many instances later; None leaves that as it is.
        capture: data capture, None for none.
    """

    hosted: Hosted
    instance_type: str
    count: int
    startup: int
    scaling: Scaling | None = None
    capture: Capture | None = None


@dataclass(frozen=True)
class Deployed:
    """An endpoint in service.

    Attributes:
        name: its name.
        config: its configuration.
        back: the command that leads back to the configuration before; None where there was none, or nothing changed.
    """

    name: str
    config: str
    back: str | None


def deploy(aws: Aws, wanted: Wanted, journal: Journal, sleep: Sleep = time.sleep) -> Deployed:
    """Bring the endpoint into service with what is wanted. Run again, it goes on where it stopped.

    Raises:
        EndpointBusy: the endpoint is being changed by somebody else, or can only be deleted.
        EndpointFailed: the container did not become healthy; SageMaker's reason is in the message.
    """
    name = wanted.hosted.name
    before = described(aws, name)
    _refuse_unchangeable(aws, name, before)
    with journal.accounted(_what_next(aws, wanted.hosted, before)):
        model = ensure_model(aws, wanted.hosted, journal)
        config = _ensure_config(aws, model, wanted, journal)
        previous = _bring(aws, model, wanted, config, before, journal, sleep)
        _ensure_scaling(aws, name, wanted.scaling, before, journal)
        return Deployed(name, config, previous and _back(aws, name, previous, wanted.instance_type))


def described(aws: Aws, name: str) -> dict[str, Any] | None:
    """An endpoint as SageMaker describes it, None where there is none.

    Raises:
        RequestRefused: no endpoint can have that name.
    """
    return aws.find("sagemaker", "describe_endpoint", EndpointName=names.checked_name(name))


def undo(aws: Aws, name: str, bucket: str | None = None) -> str:
    """The command that removes an endpoint and all that was made for it."""
    return f"fastmar sagemaker delete {name}{f' --bucket {bucket}' if bucket else ''} --region {aws.region}"


def is_ours(aws: Aws, arn: str, name: str) -> bool:
    """Whether a thing was made for the endpoint `name` by this program."""
    found = aws.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn)
    return {"Key": names.NAME_TAG, "Value": name} in list(found)


def _what_next(aws: Aws, hosted: Hosted, before: dict[str, Any] | None) -> str:
    """What can be done with what was made; where an endpoint was there before, `delete` would remove that."""
    if before is None:
        return f"Run the command again to go on, or remove all with `{undo(aws, hosted.name, hosted.bucket)}`."
    serves = before["EndpointStatus"] == IN_SERVICE
    return f"Run the command again to go on{f'; endpoint {hosted.name} stays in service' if serves else ''}."


def _back(aws: Aws, name: str, previous: str, instance_type: str) -> str:
    """The command that leads back to a configuration."""
    scales, before = scaling.current(aws, name) is not None, _instance_type(aws, previous)
    if scales and before != instance_type:  # SageMaker would refuse it; `deploy` pauses scaling
        return f"fastmar sagemaker deploy OLD.mar --instance-type {before} --region {aws.region} and the other options"
    command = f"aws sagemaker update-endpoint --endpoint-name {name} --region {aws.region}"
    return f"{command} --endpoint-config-name {previous}{_KEPT_WORDS if scales else ''}"


def _refuse_unchangeable(aws: Aws, name: str, endpoint: dict[str, Any] | None) -> None:
    if endpoint is None:
        return
    if not is_ours(aws, endpoint["EndpointArn"], name):
        raise RequestRefused(f"there is an endpoint {name} that fastmar did not make.", fix="give another --name.")
    if endpoint["EndpointStatus"] == FAILED:
        raise EndpointBusy(
            f"endpoint {name} has failed ({endpoint.get('FailureReason', 'SageMaker gives no reason')}), "
            "and can only be deleted.",
            fix=f"run `{undo(aws, name)}`, then deploy again.",
        )


def _ensure_config(aws: Aws, model: Model, wanted: Wanted, journal: Journal) -> str:
    parameters: dict[str, Any] = {
        "ProductionVariants": [
            {
                "VariantName": VARIANT,
                "ModelName": model.name,
                "InstanceType": wanted.instance_type,
                "InitialInstanceCount": wanted.count,
                "ContainerStartupHealthCheckTimeoutInSeconds": wanted.startup,
            }
        ]
    }
    if wanted.capture:
        parameters["DataCaptureConfig"] = _capture(wanted.capture)
    name = names.derived(model.group, parameters)
    if aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=name):
        journal.there(f"configuration {name}")
    else:
        aws.call("sagemaker", "create_endpoint_config", EndpointConfigName=name, Tags=model.tags, **parameters)
        journal.done(f"configuration {name}")
    return name


def _capture(capture: Capture) -> dict[str, Any]:
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": capture.percent,
        "DestinationS3Uri": capture.uri,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": _JSON_TYPES, "CsvContentTypes": _CSV_TYPES},
    }


def _bring(
    aws: Aws,
    model: Model,
    wanted: Wanted,
    config: str,
    before: dict[str, Any] | None,
    journal: Journal,
    sleep: Sleep,
) -> str | None:
    """Create or update the endpoint and wait; the value is the configuration that it had before."""
    name = model.group
    if before is None:
        aws.call("sagemaker", "create_endpoint", EndpointName=name, EndpointConfigName=config, Tags=model.tags)
        journal.done(f"endpoint {name}")
        wait(aws, name, config, journal, sleep)
        return None
    pending = _pending(before)  # while that is under way, the endpoint names the configuration before
    if config == (pending or before["EndpointConfigName"]):
        journal.there(f"endpoint {name}, {before['EndpointStatus']}")
        wait(aws, name, config, journal, sleep)
        return None
    if before["EndpointStatus"] != IN_SERVICE:
        raise EndpointBusy(
            f"endpoint {name} is being changed{f' to {pending}' if pending else ''} ({before['EndpointStatus']}).",
            fix="run the command again once it is InService: "
            f"`aws sagemaker wait endpoint-in-service --endpoint-name {name} --region {aws.region}`.",
        )
    previous: str = before["EndpointConfigName"]
    arn: str = before["EndpointArn"]
    scaled = scaling.current(aws, name) or scaling.noted(aws, arn)
    moves = scaled and _instance_type(aws, previous) != wanted.instance_type
    with scaling.paused(aws, name, arn, scaled, journal) if scaled and moves else nullcontext():
        kept = _KEPT if scaled else {}
        aws.call("sagemaker", "update_endpoint", EndpointName=name, EndpointConfigName=config, **kept)
        journal.say(f"update  endpoint {name}: {previous} -> {config}; the old instances answer until the new ones do")
        wait(aws, name, config, journal, sleep)
    return previous


def _ensure_scaling(
    aws: Aws, name: str, wanted: Scaling | None, before: dict[str, Any] | None, journal: Journal
) -> None:
    """The scaling that is wanted, else that which an earlier update paused and, being killed, did not give back."""
    paused = scaling.noted(aws, before["EndpointArn"]) if before else None
    if before and paused:
        scaling.resume(aws, name, before["EndpointArn"], wanted or paused, journal)
    elif wanted:
        scaling.ensure(aws, name, wanted, journal)


def wait(aws: Aws, name: str, config: str, journal: Journal, sleep: Sleep) -> None:
    """Wait until the endpoint is in service with `config`.

    Raises:
        EndpointFailed: it is not, and won't be.
    """
    began, shown, looks = time.monotonic(), "", 0
    while True:
        endpoint = aws.call("sagemaker", "describe_endpoint", EndpointName=name)
        status = endpoint["EndpointStatus"]
        if status == IN_SERVICE and endpoint["EndpointConfigName"] == config:
            return
        reason = endpoint.get("FailureReason") or "SageMaker gives no reason"
        if status in (FAILED, "UpdateRollbackFailed"):
            raise EndpointFailed(f"endpoint {name}: {reason}", fix=_look_at_logs(name, aws.region))
        if status == IN_SERVICE and (shown or looks == PATIENCE):
            raise EndpointFailed(
                f"endpoint {name} went back to {endpoint['EndpointConfigName']}, and answers as before: {reason}",
                fix=_look_at_logs(name, aws.region),
            )
        looks += 1
        if status not in (IN_SERVICE, shown):
            shown = status
            journal.say(f"{status}: this takes some minutes; Ctrl-C stops watching, not SageMaker")
        journal.stage(f"Endpoint {name} is {status}, {time.monotonic() - began:.0f} s")
        sleep(LOOK)


def _look_at_logs(name: str, region: str) -> str:
    return (
        "read what the container said (`fastmar doctor` on the archive says more): "
        f"`aws logs tail /aws/sagemaker/Endpoints/{name} --region {region}`."
    )


def _pending(endpoint: dict[str, Any]) -> str | None:
    """The configuration that an update under way leads to."""
    config: str | None = endpoint.get("PendingDeploymentSummary", {}).get("EndpointConfigName")
    return config


def _instance_type(aws: Aws, config: str) -> str:
    found = aws.find("sagemaker", "describe_endpoint_config", EndpointConfigName=config) or {}
    variants = found.get("ProductionVariants") or [{}]
    return str(variants[0].get("InstanceType"))
