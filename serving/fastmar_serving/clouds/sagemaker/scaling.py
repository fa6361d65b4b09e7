"""Automatic scaling of an endpoint to a target number of requests per minute and instance."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastmar_serving.clouds.sagemaker.aws import Aws
from fastmar_serving.clouds.sagemaker.errors import RequestRefused
from fastmar_serving.clouds.sagemaker.progress import Progress

SERVICE = "application-autoscaling"
VARIANT = "AllTraffic"
POLICY = "fastmar-invocations"
PAUSED_TAG = "fastmar:paused-scaling"  # of an endpoint: "MINIMUM MAXIMUM INVOCATIONS"; empty if nothing is paused
METRIC = "SageMakerVariantInvocationsPerInstance"


@dataclass(frozen=True)
class Scaling:
    """Automatic scaling of an endpoint.

    Attributes:
        minimum: minimum number of instances.
        maximum: maximum number of instances.
        invocations: target number of requests per minute and instance.
    """

    minimum: int
    maximum: int
    invocations: float

    def __post_init__(self) -> None:
        if not 1 <= self.minimum <= self.maximum:
            raise RequestRefused(
                f"{self.minimum} to {self.maximum} instances is not a valid range.",
                fix="give a --min of at least 1, and a --max of at least --min.",
                code="invalid_range",
            )

    def __str__(self) -> str:
        return f"{self.minimum} to {self.maximum} instances at {self.invocations:g} requests a minute each"


def scalable_target(name: str) -> dict[str, str]:
    """The endpoint in the API of Application Auto Scaling."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def current(aws: Aws, name: str) -> Scaling | None:
    """The scaling of an endpoint, None if it has none that fastmar created."""
    target = scalable_target(name)
    found = aws.call(
        SERVICE,
        "describe_scalable_targets",
        ServiceNamespace="sagemaker",
        ResourceIds=[target["ResourceId"]],
        ScalableDimension=target["ScalableDimension"],
    )["ScalableTargets"]
    if not found:
        return None
    policies = aws.call(SERVICE, "describe_scaling_policies", PolicyNames=[POLICY], **target)["ScalingPolicies"]
    if not policies:
        return None
    value = float(policies[0]["TargetTrackingScalingPolicyConfiguration"]["TargetValue"])
    return Scaling(found[0]["MinCapacity"], found[0]["MaxCapacity"], value)


def ensure(aws: Aws, name: str, scaling: Scaling, progress: Progress) -> None:
    """Set the scaling of an endpoint."""
    target = scalable_target(name)
    text = f"scaling {scaling}"
    if current(aws, name) == scaling:
        progress.exists(text)
        return
    aws.call(SERVICE, "register_scalable_target", MinCapacity=scaling.minimum, MaxCapacity=scaling.maximum, **target)
    tracking: dict[str, Any] = {
        "TargetValue": scaling.invocations,
        "PredefinedMetricSpecification": {"PredefinedMetricType": METRIC},
        "ScaleOutCooldown": 60,
        "ScaleInCooldown": 300,
    }
    aws.call(
        SERVICE,
        "put_scaling_policy",
        PolicyName=POLICY,
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
        **target,
    )
    progress.created(text)


def remove(aws: Aws, name: str) -> bool:
    """Remove the scaling of an endpoint with its policies. Returns whether there was one."""
    return aws.find(SERVICE, "deregister_scalable_target", **scalable_target(name)) is not None


@contextmanager
def pause(aws: Aws, name: str, arn: str, before: Scaling, progress: Progress) -> Iterator[None]:
    """Remove the scaling while the block runs, since SageMaker refuses another instance type for a scaling endpoint.

    A tag of the endpoint stores the scaling, so that a later command can resume it if this process is killed.
    """
    _write_tag(aws, arn, f"{before.minimum} {before.maximum} {before.invocations!r}")
    remove(aws, name)
    progress.write(f"paused  scaling {before}")
    try:
        yield
    finally:
        resume(aws, name, arn, before, progress)


def read_paused(aws: Aws, arn: str) -> Scaling | None:
    """The scaling that an update paused and did not resume; None if there is none."""
    tags = {tag["Key"]: tag["Value"] for tag in aws.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn)}
    try:
        minimum, maximum, invocations = tags.get(PAUSED_TAG, "").split()
        return Scaling(int(minimum), int(maximum), float(invocations))
    except (ValueError, RequestRefused):  # an empty or invalid tag
        return None


def resume(aws: Aws, name: str, arn: str, scaling: Scaling, progress: Progress) -> None:
    """Set the scaling of an endpoint after a pause."""
    ensure(aws, name, scaling, progress)
    _write_tag(aws, arn, "")


def _write_tag(aws: Aws, arn: str, text: str) -> None:
    aws.call("sagemaker", "add_tags", ResourceArn=arn, Tags=[{"Key": PAUSED_TAG, "Value": text}])
