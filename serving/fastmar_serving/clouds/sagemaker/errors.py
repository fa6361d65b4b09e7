"""Errors of `fastmar sagemaker`.

FastmarError
└── SageMakerError            a `fastmar sagemaker` command failed
    ├── AwsMissing            no boto3, credentials or region
    ├── AwsRefused            AWS refused a request
    ├── RequestRefused        invalid options, detected before the request to AWS
    ├── EndpointNotUpdatable  the endpoint is being changed, or can only be deleted
    ├── EndpointFailed        the container did not become healthy, or SageMaker rolled the endpoint back
    └── TransformFailed       a Batch Transform job ended without valid answers
"""

from __future__ import annotations

from fastmar_contract.errors import FastmarError


class SageMakerError(FastmarError):
    """A SageMaker command failed."""

    code = "sagemaker_error"


class AwsMissing(SageMakerError):
    """boto3, credentials or a region are missing."""

    code = "aws_missing"


class AwsRefused(SageMakerError):
    """AWS refused a request; the message has the operation and AWS' message."""

    code = "aws_refused"


class RequestRefused(SageMakerError):
    """The options of the command are not valid."""

    code = "sagemaker_request_refused"


class EndpointNotUpdatable(SageMakerError):
    """The endpoint can't be changed in its current state."""

    code = "endpoint_busy"


class EndpointFailed(SageMakerError):
    """The endpoint did not get into service with the new configuration."""

    code = "endpoint_failed"


class TransformFailed(SageMakerError):
    """A Batch Transform job failed or was stopped."""

    code = "transform_failed"
