"""The example policies grant the permissions that the commands use, and no others."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from tests.runtime import tiny
from tests.serving.archives import make_archive
from tests.serving.clouds.sagemaker.conftest import BUCKET, IMAGE, REGION, ROLE, Cloud
from tests.serving.torchserve.conftest import ECHO

from fastmar_cli.main import main
from fastmar_serving.clouds.sagemaker.names import PREFIX
from fastmar_serving.clouds.sagemaker.transform import ANSWERS

ROOT = Path(__file__).resolve().parents[4]
POLICIES = ROOT / "deploy" / "sagemaker"
PAGE = ROOT / "docs" / "deployment" / "sagemaker.md"
CLI = ROOT / "cli" / "fastmar_cli"
SAGEMAKER = ROOT / "serving" / "fastmar_serving" / "clouds" / "sagemaker"
COMMON = ["--image", IMAGE, "--role", ROLE, "--bucket", BUCKET, "--region", REGION]

# Permissions of S3 have other names than the operations; all others are service:Operation.
PERMISSIONS = {"HeadBucket": "s3:ListBucket", "HeadObject": "s3:GetObject", "ListObjectsV2": "s3:ListBucket"}
# Permissions that AWS checks although no request has that name.
IMPLIED = {
    "sagemaker:AddTags",  # to create resources with tags
    "sagemaker:UpdateEndpointWeightsAndCapacities",  # to register a scalable target
    "cloudwatch:DeleteAlarms",  # this and the next two to put or remove a scaling policy
    "cloudwatch:DescribeAlarms",
    "cloudwatch:PutMetricAlarm",
    "iam:CreateServiceLinkedRole",
    "iam:PassRole",  # to create a model with a role
    "s3:AbortMultipartUpload",  # uploads of more than 8 MB have several parts
}
# AWS commands that fastmar prints, and the permissions that they need.
PRINTED: dict[str, set[str]] = {
    "logs tail": {"logs:FilterLogEvents"},
    "s3 cp": {"s3:GetObject", "s3:ListBucket"},
    "s3 mb": set(),  # a bucket is created once, by an administrator
    "sagemaker delete-endpoint": {"sagemaker:DeleteEndpoint"},
    "sagemaker stop-transform-job": {"sagemaker:StopTransformJob"},
    "sagemaker update-endpoint": {"sagemaker:UpdateEndpoint"},
    "sagemaker wait": {"sagemaker:DescribeEndpoint"},
    "sagemaker-runtime invoke-endpoint": {"sagemaker:InvokeEndpoint"},
    "sso login": set(),
}


def statements(name: str) -> list[dict[str, Any]]:
    policy = json.loads((POLICIES / name).read_text("utf-8"))
    assert policy["Version"] == "2012-10-17"
    return list(policy["Statement"])


def actions(name: str) -> set[str]:
    allowed = [statement["Action"] for statement in statements(name)]
    return {action for actions in allowed for action in ([actions] if isinstance(actions, str) else actions)}


def test_deployer_policy_has_the_permissions_that_the_commands_use(
    cloud: Cloud, flights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", cloud.sleep)
    scaled = ["--max", "4", "--target-invocations", "600", "--instance-type"]
    (tmp_path / "rows.jsonl").write_text(json.dumps(tiny.record()))
    for archive, instances in ((flights, "ml.m5.large"), (make_archive(tmp_path, "flights", ECHO), "ml.m5.xlarge")):
        assert main(["sagemaker", "deploy", str(archive), *COMMON, *scaled, instances]) == 0
    batch = ["--input", str(tmp_path / "rows.jsonl"), "-o", str(tmp_path / "answers"), "--instance-type", "ml.m5.large"]
    assert main(["sagemaker", "transform", str(flights), *COMMON, *batch]) == 0
    assert main(["sagemaker", "delete", "flights", "--bucket", BUCKET, "--region", REGION, "--yes"]) == 0
    assert {"UpdateEndpoint", "HeadBucket"} <= set(cloud.names())
    used = {PERMISSIONS.get(operation, f"{service}:{operation}") for service, operation, _ in cloud.calls}
    assert used.union(IMPLIED, *PRINTED.values()) == actions("deployer-policy.json")


def test_permissions_of_all_printed_commands_are_listed() -> None:
    code = [CLI / "commands" / "sagemaker.py", *SAGEMAKER.glob("*.py")]
    found = {command for file in code for command in re.findall(r"\baws ([a-z0-9-]+ [a-z-]+)", file.read_text("utf-8"))}
    assert found == set(PRINTED)


@pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject"])
def test_role_has_access_to_the_s3_uris_in_the_documentation(action: str) -> None:
    page = PAGE.read_text("utf-8")
    read, written = r"--input s3://(BUCKET/\S+)", r"(?:-o|--capture) s3://(BUCKET/[^\s`]+)"
    uris = re.findall(read if action == "s3:GetObject" else written, page)
    if action == "s3:PutObject":
        uris.append(f"BUCKET/{ANSWERS}")
    assert uris
    for uri in uris:
        bucket, _, prefix = uri.rstrip("/").partition("/")
        assert allows("execution-role-policy.json", action, f"arn:aws:s3:::{bucket}/{prefix}/object")
        assert allows("execution-role-policy.json", "s3:ListBucket", f"arn:aws:s3:::{bucket}", f"{prefix}/")
        assert not prefix.startswith(f"{PREFIX}/")  # `delete` empties that folder


def allows(name: str, action: str, resource: str, prefix: str = "") -> bool:
    """Whether a statement of the policy allows the action on the resource, and on the prefix if that is a condition."""
    for statement in statements(name):
        named, patterns = statement["Action"], statement["Resource"]
        prefixes = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix", ["*"])
        if (
            action in ([named] if isinstance(named, str) else named)
            and any(fnmatchcase(resource, one) for one in ([patterns] if isinstance(patterns, str) else patterns))
            and any(fnmatchcase(prefix, one) for one in prefixes)
        ):
            return True
    return False


@pytest.mark.parametrize("name", ["deployer-policy.json", "execution-role-policy.json"])
def test_no_wildcard_permissions(name: str) -> None:
    assert not [action for action in actions(name) if "*" in action]
    for statement in statements(name):
        if statement["Resource"] == "*" and "Condition" not in statement:
            assert set(statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]) <= {
                "sagemaker:ListEndpointConfigs",
                "sagemaker:ListModels",
                "ecr:GetAuthorizationToken",
                "application-autoscaling:DescribeScalableTargets",
                "application-autoscaling:DescribeScalingPolicies",
            }


def test_only_sagemaker_can_assume_the_role() -> None:
    (statement,) = statements("trust-policy.json")
    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
