"""A Batch Transform job: many records or pictures, instances only as long as it takes, answers in S3."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastmar_serving.clouds.sagemaker import names
from fastmar_serving.clouds.sagemaker.aws import Aws
from fastmar_serving.clouds.sagemaker.batch import MEGABYTES, WHOLE_MEGABYTES, Input, answers, kind_of, pieces
from fastmar_serving.clouds.sagemaker.endpoint import LOOK, Sleep, described, undo
from fastmar_serving.clouds.sagemaker.errors import RequestRefused, TransformFailed
from fastmar_serving.clouds.sagemaker.journal import Journal
from fastmar_serving.clouds.sagemaker.model import Hosted, Model, ensure_model

ANSWERS = "fastmar-answers"  # folder in the bucket; not the endpoint's own, which `delete` empties
AT_ONCE = 4  # requests to one instance; together they may have 100 MB


@dataclass(frozen=True)
class Batch:
    """What `transform` is to bring about.

    Attributes:
        hosted: archives, image, role.
        source: a local file, or a prefix in S3.
        content_type: of what is in it; None where its name tells.
        output: a local file for answers, an answer a line; or where in S3; None for a folder in the bucket.
        instance_type: of each instance.
        count: instances.
    """

    hosted: Hosted
    source: str
    content_type: str | None
    output: str | None
    instance_type: str
    count: int


def transform(aws: Aws, batch: Batch, journal: Journal, sleep: Sleep = time.sleep) -> str:
    """Run the job and wait for it; the value is where the answers are.

    Raises:
        RequestRefused: the input can't be read, or the answers can't be written where they are to go.
        TransformFailed: the job failed; SageMaker's reason is in the message.
    """
    kind = kind_of(batch.source, batch.content_type)
    local_output = batch.output is not None and not batch.output.startswith("s3://")
    if local_output and batch.source.startswith("s3://"):
        raise RequestRefused(
            "answers to what is in S3 stay in S3.", fix="give --output an s3:// address, or leave it out."
        )
    if local_output:
        _refuse_unwritable(Path(str(batch.output)))
    with journal.accounted(_idle(aws, batch.hosted)):
        model = ensure_model(aws, batch.hosted, journal)
        job = f"{model.group}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}"
        source = _ensure_source(aws, batch, kind, model, job, journal)
        output = batch.output if batch.output and not local_output else f"s3://{batch.hosted.bucket}/{ANSWERS}/{job}"
        aws.call("sagemaker", "create_transform_job", **_job(batch, kind, model, job, source, output))
        journal.done(f"job {job}")
    stop = f"aws sagemaker stop-transform-job --transform-job-name {job} --region {aws.region}"
    with journal.accounted(
        f"The job runs on and costs until it ends; `{stop}` ends it. Answers will be below {output}."
    ):
        ended = _wait(aws, job, journal, sleep)
    if ended["TransformJobStatus"] != "Completed":
        with journal.accounted(_idle(aws, batch.hosted)):
            raise _failed(ended, aws.region)
    if not local_output:
        return output
    fetch = f"aws s3 cp --recursive {output}/ . --region {aws.region}"
    with journal.accounted(f"The answers are there: `{fetch}` fetches them."):
        return _fetch(aws, output, Path(str(batch.output)), journal)


def _refuse_unwritable(path: Path) -> None:
    """A job is paid for: that its answers have no place here has to be known before."""
    if path.is_dir() or not path.parent.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise RequestRefused(
            f"answers can't be written to {path}.", fix="give --output a file in a folder that is there, and yours."
        )


def _ensure_source(aws: Aws, batch: Batch, kind: Input, model: Model, job: str, journal: Journal) -> str:
    """The prefix in S3 that holds the input."""
    if batch.source.startswith("s3://"):
        return batch.source
    prefix = f"{names.folder(batch.hosted.bucket, model.group)}/input/{job}/"
    number = 0
    for name, content in pieces(Path(batch.source), kind):
        journal.stage(f"Uploading {name}")
        aws.put(content, prefix + name)
        number += 1
    if not number:
        raise RequestRefused(f"{batch.source} is empty.", fix="give a file of records.")
    journal.done(prefix)
    return prefix


def _job(batch: Batch, kind: Input, model: Model, job: str, source: str, output: str) -> dict[str, Any]:
    cut = {"SplitType": "Line"} if kind.cuttable else {"SplitType": "None"}
    return {
        "TransformJobName": job,
        "ModelName": model.name,
        "MaxConcurrentTransforms": AT_ONCE,
        "MaxPayloadInMB": MEGABYTES if kind.cuttable else WHOLE_MEGABYTES,
        **({"BatchStrategy": "MultiRecord"} if kind.cuttable else {}),
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
            "ContentType": kind.content_type,
            **cut,
        },
        "TransformOutput": {
            "S3OutputPath": output,
            **({"AssembleWith": "Line", "Accept": kind.content_type} if kind.cuttable else {}),
        },
        "TransformResources": {"InstanceType": batch.instance_type, "InstanceCount": batch.count},
        "Tags": model.tags,
    }


def _wait(aws: Aws, job: str, journal: Journal, sleep: Sleep) -> dict[str, Any]:
    """The job as SageMaker describes it once it has ended."""
    began = time.monotonic()
    while True:
        described = aws.call("sagemaker", "describe_transform_job", TransformJobName=job)
        status = described["TransformJobStatus"]
        if status in ("Completed", "Failed", "Stopped"):
            return described
        journal.stage(f"Job {job} is {status}, {time.monotonic() - began:.0f} s")
        sleep(LOOK)


def _failed(ended: dict[str, Any], region: str) -> TransformFailed:
    job, status = ended["TransformJobName"], ended["TransformJobStatus"]
    reason = ended.get("FailureReason") or "SageMaker gives no reason"
    logs = f"aws logs tail /aws/sagemaker/TransformJobs --log-stream-name-prefix {job} --region {region}"
    return TransformFailed(f"job {job} {status.lower()}: {reason}", fix=f"read its log: `{logs}`.")


def _idle(aws: Aws, hosted: Hosted) -> str:
    """What can be done with what a batch leaves; where there is an endpoint, `delete` would remove that too."""
    text = "It costs nothing but space"
    if described(aws, hosted.name):
        return f"{text}."
    return f"{text}; `{undo(aws, hosted.name, hosted.bucket)}` removes it."


def _fetch(aws: Aws, output: str, path: Path, journal: Journal) -> str:
    """Answers of all objects, in the order of the input, in one local file."""
    written = 0
    try:
        with path.open("wb") as file:
            for uri in sorted(aws.listed(f"{output}/")):
                journal.stage(f"Fetching {uri}")
                for line in answers(aws.download(uri), uri):
                    file.write(line + b"\n")
                    written += 1
    except OSError as error:
        raise RequestRefused(f"{path} can't be written: {error.strerror or error}.", fix="make room for it.") from error
    return f"{path} ({written:,} answers)"
