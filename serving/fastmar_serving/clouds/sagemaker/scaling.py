"""Automatic scaling of an endpoint: as many instances as keep each at a number of requests a minute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastmar_serving.clouds.sagemaker.aws import Aws
from fastmar_serving.clouds.sagemaker.errors import RequestRefused
from fastmar_serving.clouds.sagemaker.journal import Journal

SERVICE = "application-autoscaling"
VARIANT = "AllTraffic"
POLICY = "fastmar-invocations"
PAUSED_TAG = "fastmar:paused-scaling"  # of an endpoint: least, most, invocations; empty where nothing is paused
METRIC = "SageMakerVariantInvocationsPerInstance"


@dataclass(frozen=True)
class Scaling:
    """How far an endpoint scales, and when.

    Attributes:
        least: instances at least.
        most: instances at most.
        invocations: requests a minute and instance that are aimed at.
    """

    least: int
    most: int
    invocations: float

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise RequestRefused(
                f"an endpoint can't have between {self.least} and {self.most} instances.",
                fix="give --min of 1 or more, and --max of that or more.",
            )

    def __str__(self) -> str:
        return f"{self.least} to {self.most} instances at {self.invocations:g} requests a minute each"


def target(name: str) -> dict[str, str]:
    """What Application Auto Scaling calls the endpoint."""
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{name}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def current(aws: Aws, name: str) -> Scaling | None:
    """The scaling of an endpoint, None where it has none of ours."""
    wanted = target(name)
    found = aws.call(
        SERVICE,
        "describe_scalable_targets",
        ServiceNamespace="sagemaker",
        ResourceIds=[wanted["ResourceId"]],
        ScalableDimension=wanted["ScalableDimension"],
    )["ScalableTargets"]
    if not found:
        return None
    policies = aws.call(SERVICE, "describe_scaling_policies", PolicyNames=[POLICY], **wanted)["ScalingPolicies"]
    if not policies:
        return None
    value = float(policies[0]["TargetTrackingScalingPolicyConfiguration"]["TargetValue"])
    return Scaling(found[0]["MinCapacity"], found[0]["MaxCapacity"], value)


def ensure(aws: Aws, name: str, scaling: Scaling, journal: Journal) -> None:
    """Let an endpoint scale, in place of how it scaled before."""
    text = f"scaling {scaling}"
    if current(aws, name) == scaling:
        journal.there(text)
        return
    aws.call(SERVICE, "register_scalable_target", MinCapacity=scaling.least, MaxCapacity=scaling.most, **target(name))
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
        **target(name),
    )
    journal.done(text)


def remove(aws: Aws, name: str) -> bool:
    """Let an endpoint scale no more; whether it did. Its policies go with it."""
    return aws.find(SERVICE, "deregister_scalable_target", **target(name)) is not None


@contextmanager
def paused(aws: Aws, name: str, arn: str, before: Scaling, journal: Journal) -> Iterator[None]:
    """No scaling as long as this lasts: SageMaker does not change the instance type of what scales.

    What it was is noted at the endpoint, from where `resume` has it when this process is killed.
    """
    _note(aws, arn, f"{before.least} {before.most} {before.invocations!r}")
    remove(aws, name)
    journal.say(f"paused  scaling {before}")
    try:
        yield
    finally:
        resume(aws, name, arn, before, journal)


def noted(aws: Aws, arn: str) -> Scaling | None:
    """The scaling that an update removed and did not give back; None where there is no such thing."""
    tags = {tag["Key"]: tag["Value"] for tag in aws.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn)}
    try:
        least, most, invocations = tags.get(PAUSED_TAG, "").split()
        return Scaling(int(least), int(most), float(invocations))
    except (ValueError, RequestRefused):  # none, or nothing of ours
        return None


def resume(aws: Aws, name: str, arn: str, scaling: Scaling, journal: Journal) -> None:
    """Let an endpoint scale again whose scaling was paused."""
    ensure(aws, name, scaling, journal)
    _note(aws, arn, "")


def _note(aws: Aws, arn: str, text: str) -> None:
    aws.call("sagemaker", "add_tags", ResourceArn=arn, Tags=[{"Key": PAUSED_TAG, "Value": text}])
