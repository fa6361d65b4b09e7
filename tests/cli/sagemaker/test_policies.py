"""The example policies give the rights that the commands use, and no others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.sagemaker.conftest import BUCKET, IMAGE, REGION, ROLE, Cloud
from tests.cli.server.conftest import ECHO, make_archive
from tests.runtime import tiny

from fastmar_cli.main import main

POLICIES = Path(__file__).resolve().parents[3] / "deploy" / "sagemaker"
COMMON = ["--image", IMAGE, "--role", ROLE, "--bucket", BUCKET, "--region", REGION]

# Operations of S3 are other rights than their names say; the rest is service:Operation.
RIGHTS = {"HeadObject": "s3:GetObject", "ListObjectsV2": "s3:ListBucket"}
# Rights that AWS asks for although no request is named like them.
IMPLIED = {
    "sagemaker:AddTags",  # whoever creates something with tags
    "sagemaker:UpdateEndpointWeightsAndCapacities",  # whoever registers a scalable target
    "cloudwatch:DeleteAlarms",  # whoever puts or removes a scaling policy, these three
    "cloudwatch:DescribeAlarms",
    "cloudwatch:PutMetricAlarm",
    "iam:CreateServiceLinkedRole",
    "iam:PassRole",  # whoever creates a model with a role
    "s3:AbortMultipartUpload",  # uploads of more than 8 MB come in parts
}


def statements(name: str) -> list[dict[str, Any]]:
    policy = json.loads((POLICIES / name).read_text("utf-8"))
    assert policy["Version"] == "2012-10-17"
    return list(policy["Statement"])


def actions(name: str) -> set[str]:
    allowed = [statement["Action"] for statement in statements(name)]
    return {action for actions in allowed for action in ([actions] if isinstance(actions, str) else actions)}


def test_whoever_deploys_has_the_rights_that_the_commands_use_and_no_others(
    cloud: Cloud, flights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", cloud.sleep)
    scaled = ["--max", "4", "--target-invocations", "600", "--instance-type"]
    (tmp_path / "rows.jsonl").write_text(json.dumps(tiny.record()))
    for archive, instances in ((flights, "ml.m5.large"), (make_archive(tmp_path, "flights", ECHO), "ml.m5.xlarge")):
        assert main(["sagemaker", "deploy", str(archive), *COMMON, *scaled, instances]) == 0
    batch = ["--input", str(tmp_path / "rows.jsonl"), "-o", str(tmp_path / "answers"), "--instance-type", "ml.m5.large"]
    assert main(["sagemaker", "transform", str(flights), *COMMON, *batch]) == 0
    assert main(["sagemaker", "delete", "flights", "--region", REGION, "--yes"]) == 0
    assert "UpdateEndpoint" in cloud.names()
    used = {RIGHTS.get(operation, f"{service}:{operation}") for service, operation, _ in cloud.calls}
    assert used | IMPLIED == actions("deployer-policy.json")


@pytest.mark.parametrize("name", ["deployer-policy.json", "execution-role-policy.json"])
def test_nothing_is_given_away(name: str) -> None:
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


def test_only_sagemaker_becomes_the_role() -> None:
    (statement,) = statements("trust-policy.json")
    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
