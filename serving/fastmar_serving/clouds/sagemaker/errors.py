"""What can go wrong between here and SageMaker.

FastmarError
└── SageMakerError            anything that keeps a `fastmar sagemaker` command from its end
    ├── AwsMissing                boto3, or an account's credentials or region, is not there
    ├── AwsRefused                AWS refused a request
    ├── RequestRefused            what was asked for can't be done, found before AWS was asked
    ├── EndpointBusy              an endpoint is being changed, or can't be changed any more
    ├── EndpointFailed            SageMaker could not start the container, or went back to the one before
    └── TransformFailed           a Batch Transform job ended without answers
"""

from __future__ import annotations

from fastmar_contract.errors import FastmarError


class SageMakerError(FastmarError):
    """Something keeps a SageMaker command from its end."""

    code = "sagemaker_error"


class AwsMissing(SageMakerError):
    """The AWS client, credentials or a region are missing."""

    code = "aws_missing"


class AwsRefused(SageMakerError):
    """AWS refused a request; the message names the operation and gives AWS' own words."""

    code = "aws_refused"


class RequestRefused(SageMakerError):
    """The command asks for something that can't be."""

    code = "sagemaker_request_refused"


class EndpointBusy(SageMakerError):
    """The endpoint is in a state in which it can't be changed."""

    code = "endpoint_busy"


class EndpointFailed(SageMakerError):
    """The endpoint did not get into service with what was deployed."""

    code = "endpoint_failed"


class TransformFailed(SageMakerError):
    """A Batch Transform job failed or was stopped."""

    code = "transform_failed"
