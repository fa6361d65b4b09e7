"""Batch Transform jobs: answer many records or pictures, with instances only for the duration of the job."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastmar_serving.clouds.sagemaker import names
from fastmar_serving.clouds.sagemaker.aws import Aws
from fastmar_serving.clouds.sagemaker.batch import (
    MAX_FILE_MB,
    MAX_LINES_MB,
    InputFormat,
    input_format,
    read_answers,
    split_input,
)
from fastmar_serving.clouds.sagemaker.endpoint import POLL, Sleep, delete_command, describe
from fastmar_serving.clouds.sagemaker.errors import RequestRefused, TransformFailed
from fastmar_serving.clouds.sagemaker.model import Model, ModelOptions, ensure_model
from fastmar_serving.clouds.sagemaker.progress import Progress

ANSWERS = "fastmar-answers"  # folder in the bucket; separate from the endpoint's folder, which `delete` empties
MAX_CONCURRENT = 4  # requests to one instance; SageMaker allows 100 MB for all of them


@dataclass(frozen=True)
class BatchOptions:
    """Options of `transform`.

    Attributes:
        model_options: archives, image, role.
        source: a local file, or an S3 prefix.
        content_type: media type of the input; None takes it from the file extension.
        output: a local file for the answers as JSON lines, or an S3 prefix; None takes a folder in the bucket.
        instance_type: the type of each instance, such as ml.m5.large.
        count: number of instances.
    """

    model_options: ModelOptions
    source: str
    content_type: str | None
    output: str | None
    instance_type: str
    count: int


def transform(aws: Aws, options: BatchOptions, progress: Progress, sleep: Sleep = time.sleep) -> str:
    """Run the job, wait for it, and return the location of the answers.

    Raises:
        RequestRefused: the input can't be read, or the answers can't be written.
        TransformFailed: the job failed; SageMaker's reason is in the message.
    """
    kind = input_format(options.source, options.content_type)
    local_output = options.output is not None and not options.output.startswith("s3://")
    if local_output and options.source.startswith("s3://"):
        raise RequestRefused(
            "input in S3 needs output in S3.",
            fix="give an s3:// URI as --output, or leave it out.",
            code="local_output",
        )
    if local_output:
        _refuse_unwritable(Path(str(options.output)))
    with progress.report_created(_advice(aws, options.model_options)):
        model = ensure_model(aws, options.model_options, progress)
        job = f"{model.group}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
        source = _ensure_source(aws, options, kind, model, job, progress)
        output = f"s3://{options.model_options.bucket}/{ANSWERS}/{job}"
        if options.output and not local_output:
            output = options.output
        aws.call("sagemaker", "create_transform_job", **_job(options, kind, model, job, source, output))
        progress.created(f"job {job}")
    stop = f"aws sagemaker stop-transform-job --transform-job-name {job} --region {aws.region}"
    with progress.report_created(
        f"The job continues and causes costs until it ends; `{stop}` stops it. Its answers will be in {output}."
    ):
        ended = _wait(aws, job, progress, sleep)
    if ended["TransformJobStatus"] != "Completed":
        with progress.report_created(_advice(aws, options.model_options)):
            raise _failed(ended, aws.region)
    if not local_output:
        return output
    fetch = f"aws s3 cp --recursive {output}/ . --region {aws.region}"
    with progress.report_created(f"The answers are in S3: fetch them with `{fetch}`."):
        return _fetch(aws, output, Path(str(options.output)), progress)


def _refuse_unwritable(path: Path) -> None:
    """Check the local output before the job, which causes costs."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise RequestRefused(
            f"answers can't be written to {path}.",
            fix="give as --output a file in an existing, writable folder.",
            code="output_not_writable",
        )


def _ensure_source(
    aws: Aws, options: BatchOptions, kind: InputFormat, model: Model, job: str, progress: Progress
) -> str:
    """Upload a local input, and return the S3 prefix of the input."""
    if options.source.startswith("s3://"):
        return options.source
    prefix = f"{names.folder(options.model_options.bucket, model.group)}/input/{job}/"
    number = 0
    for name, content in split_input(Path(options.source), kind):
        progress.stage(f"Uploading {name}")
        aws.put(content, prefix + name)
        number += 1
    if not number:
        raise RequestRefused(f"{options.source} is empty.", fix="give a file of records.", code="input_empty")
    progress.created(prefix)
    return prefix


def _job(options: BatchOptions, kind: InputFormat, model: Model, job: str, source: str, output: str) -> dict[str, Any]:
    split = {"SplitType": "Line"} if kind.is_splittable else {"SplitType": "None"}
    return {
        "TransformJobName": job,
        "ModelName": model.name,
        "MaxConcurrentTransforms": MAX_CONCURRENT,
        "MaxPayloadInMB": MAX_LINES_MB if kind.is_splittable else MAX_FILE_MB,
        **({"BatchStrategy": "MultiRecord"} if kind.is_splittable else {}),
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
            "ContentType": kind.content_type,
            **split,
        },
        "TransformOutput": {
            "S3OutputPath": output,
            **({"AssembleWith": "Line", "Accept": kind.content_type} if kind.is_splittable else {}),
        },
        "TransformResources": {"InstanceType": options.instance_type, "InstanceCount": options.count},
        "Tags": model.tags,
    }


def _wait(aws: Aws, job: str, progress: Progress, sleep: Sleep) -> dict[str, Any]:
    """Wait until the job has ended, and return SageMaker's description."""
    began = time.monotonic()
    while True:
        described = aws.call("sagemaker", "describe_transform_job", TransformJobName=job)
        status = described["TransformJobStatus"]
        if status in ("Completed", "Failed", "Stopped"):
            return described
        progress.stage(f"Job {job} is {status}, {time.monotonic() - began:.0f} s")
        sleep(POLL)


def _failed(ended: dict[str, Any], region: str) -> TransformFailed:
    job, status = ended["TransformJobName"], ended["TransformJobStatus"]
    reason = ended.get("FailureReason") or "SageMaker gives no reason"
    logs = f"aws logs tail /aws/sagemaker/TransformJobs --log-stream-name-prefix {job} --region {region}"
    return TransformFailed(f"job {job} {status.lower()}: {reason}", fix=f"read its log: `{logs}`.")


def _advice(aws: Aws, model_options: ModelOptions) -> str:
    """Advice about the resources of a batch. Does not suggest `delete` if it would also remove an endpoint."""
    text = "These resources cost only storage"
    if describe(aws, model_options.name):
        return f"{text}."
    return f"{text}; remove them with `{delete_command(aws, model_options.name, model_options.bucket)}`."


def _fetch(aws: Aws, output: str, path: Path, progress: Progress) -> str:
    """Write the answers of all objects to one local file, in the order of the input."""
    written = 0
    try:
        with path.open("wb") as file:
            for uri in sorted(aws.list_objects(f"{output}/")):
                progress.stage(f"Fetching {uri}")
                for line in read_answers(aws.download(uri), uri):
                    file.write(line + b"\n")
                    written += 1
    except OSError as error:
        reason = error.strerror or error
        fix = "free disk space, or give another --output."
        raise RequestRefused(f"{path} can't be written: {reason}.", fix=fix, code="output_not_writable") from error
    return f"{path} ({written:,} answers)"
