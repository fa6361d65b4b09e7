"""Batch Transform: the requests to SageMaker, and one answer for each record in the order of the input."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody
from moto.sagemaker.models import sagemaker_backends
from tests.runtime import tiny
from tests.serving.clouds.sagemaker.conftest import (
    ACCOUNT,
    BUCKET,
    REGION,
    Cloud,
    keys,
    lines_of,
    run_batch,
    still_running,
)

from fastmar_serving.clouds.sagemaker.aws import Aws
from fastmar_serving.clouds.sagemaker.batch import CSV, InputFormat, input_format, read_answers, split_input
from fastmar_serving.clouds.sagemaker.endpoint import EndpointOptions, deploy
from fastmar_serving.clouds.sagemaker.errors import AwsRefused, RequestRefused, SageMakerError, TransformFailed
from fastmar_serving.clouds.sagemaker.model import ModelOptions
from fastmar_serving.clouds.sagemaker.progress import Progress
from fastmar_serving.clouds.sagemaker.transform import BatchOptions, transform

RECORDS = [tiny.record(age=20 + n) for n in range(5)]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    return path


@pytest.fixture
def batch(model_options: ModelOptions, rows: Path, tmp_path: Path) -> BatchOptions:
    return BatchOptions(model_options, str(rows), None, str(tmp_path / "answers.jsonl"), "ml.m5.large", 1)


def table(records: list[dict[str, Any]]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, records[0])
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue()


class TestLines:
    def test_one_answer_per_record_in_order(
        self, aws: Aws, cloud: Cloud, batch: BatchOptions, progress: Progress, tmp_path: Path
    ) -> None:
        where = transform(aws, batch, progress, cloud.sleep)
        assert where == f"{tmp_path / 'answers.jsonl'} (5 answers)"
        assert lines_of(tmp_path / "answers.jsonl") == tiny.predictor().predict(RECORDS)

    def test_sagemaker_splits_and_assembles_by_lines(
        self, aws: Aws, cloud: Cloud, batch: BatchOptions, progress: Progress
    ) -> None:
        transform(aws, batch, progress, cloud.sleep)
        job = cloud.parameters_of("CreateTransformJob")
        assert job["TransformInput"]["SplitType"] == "Line"
        assert job["TransformInput"]["ContentType"] == "application/jsonlines"
        assert job["TransformOutput"]["AssembleWith"] == "Line"
        assert job["BatchStrategy"] == "MultiRecord"
        assert job["MaxConcurrentTransforms"] * job["MaxPayloadInMB"] <= 100
        assert {tag["Key"]: tag["Value"] for tag in job["Tags"]}["fastmar:name"] == "flights"

    def test_uses_an_existing_model(self, aws: Aws, cloud: Cloud, batch: BatchOptions, progress: Progress) -> None:
        transform(aws, batch, progress, cloud.sleep)
        cloud.calls.clear()
        transform(aws, batch, progress, cloud.sleep)
        assert "CreateModel" not in cloud.names()

    def test_an_invalid_record_has_an_error_as_its_answer(
        self, aws: Aws, cloud: Cloud, batch: BatchOptions, rows: Path, progress: Progress, tmp_path: Path
    ) -> None:
        rows.write_text(rows.read_text().replace('"age": 21', '"age": "old"'))
        transform(aws, batch, progress, cloud.sleep)
        found = lines_of(tmp_path / "answers.jsonl")
        assert [("error" in answer) for answer in found] == [False, True, False, False, False]


class TestTables:
    def test_one_answer_per_row_in_order_over_several_parts(
        self,
        aws: Aws,
        cloud: Cloud,
        batch: BatchOptions,
        progress: Progress,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        path = tmp_path / "rows.csv"
        path.write_text(table(RECORDS))
        monkeypatch.setattr("fastmar_serving.clouds.sagemaker.batch.split_input.__defaults__", (80,))
        transform(aws, replace(batch, source=str(path)), progress, cloud.sleep)
        found = lines_of(tmp_path / "answers.jsonl")
        expected = tiny.predictor().predict(RECORDS)
        assert [answer["probabilities"] for answer in found] == [answer["probabilities"] for answer in expected]
        assert len([key for key in keys() if key.endswith(".csv")]) > 1

    def test_sagemaker_does_not_split_csv_files(
        self, aws: Aws, cloud: Cloud, batch: BatchOptions, progress: Progress, tmp_path: Path
    ) -> None:
        path = tmp_path / "rows.csv"
        path.write_text(table(RECORDS))
        transform(aws, replace(batch, source=str(path)), progress, cloud.sleep)
        job = cloud.parameters_of("CreateTransformJob")
        assert job["TransformInput"]["SplitType"] == "None"
        assert "BatchStrategy" not in job
        assert "AssembleWith" not in job["TransformOutput"]

    @pytest.mark.parametrize("size", [1, 30, 60, 10_000])
    def test_parts_have_each_row_once_with_line_breaks_in_cells(self, size: int, tmp_path: Path) -> None:
        path = tmp_path / "rows.csv"
        rows = [["a", "b"], *[[f"{n}\n{n}", 'with "quotes", and ü'] for n in range(7)]]
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        found: list[list[str]] = []
        for _, content in split_input(path, InputFormat(CSV, is_splittable=False), size):
            header, *more = csv.reader(io.StringIO(content.decode(), newline=""))
            assert header == rows[0]
            assert more
            found += more
        assert found == rows[1:]

    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_all_delimiters_of_models(
        self,
        aws: Aws,
        cloud: Cloud,
        batch: BatchOptions,
        progress: Progress,
        tmp_path: Path,
        delimiter: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        path = tmp_path / "rows.csv"
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            file.write("\r\n")
            writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
            writer.writerow(["note", *RECORDS[0]])
            writer.writerows(["two\nlines; and, more", *record.values()] for record in RECORDS)
        monkeypatch.setattr("fastmar_serving.clouds.sagemaker.batch.split_input.__defaults__", (120,))
        transform(aws, replace(batch, source=str(path)), progress, cloud.sleep)
        found = lines_of(tmp_path / "answers.jsonl")
        expected = tiny.predictor().predict(RECORDS)
        assert [answer["probabilities"] for answer in found] == [answer["probabilities"] for answer in expected]
        assert len([key for key in keys() if key.endswith(".csv")]) > 1

    def test_rows_are_not_changed(self, tmp_path: Path) -> None:
        (tmp_path / "rows.csv").write_bytes(b'"a";b\r\n"1";2\n\n3;"x""\r\ny"\r\nonly one\r\n4;5')
        sent = [content for _, content in split_input(tmp_path / "rows.csv", InputFormat(CSV, is_splittable=False), 16)]
        header = b'"a";b\r\n'
        assert sent == [header + row for row in (b'"1";2\n', b'3;"x""\r\ny"\r\n', b"only one\r\n", b"4;5")]


class TestInterrupted:
    def test_warns_of_the_costs_of_a_running_job(
        self,
        aws: Aws,
        cloud: Cloud,
        batch: BatchOptions,
        progress: Progress,
        printed: list[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def ctrl_c(_seconds: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("tests.serving.clouds.sagemaker.conftest.run_batch", still_running)
        with pytest.raises(KeyboardInterrupt):
            transform(aws, batch, progress, ctrl_c)
        job = cloud.parameters_of("CreateTransformJob")
        assert "only storage" not in printed[-1]
        assert "causes costs" in printed[-1]
        assert (
            f"aws sagemaker stop-transform-job --transform-job-name {job['TransformJobName']} --region {REGION}"
            in printed[-1]
        )
        assert job["TransformOutput"]["S3OutputPath"] in printed[-1]

    def test_warns_of_the_costs_if_aws_does_not_report_the_status(
        self, aws: Aws, cloud: Cloud, batch: BatchOptions, progress: Progress
    ) -> None:
        cloud.refused["DescribeTransformJob"] = ("ExpiredToken", "The security token has expired")
        with pytest.raises(AwsRefused) as refused:
            transform(aws, batch, progress, cloud.sleep)
        assert "causes costs" in refused.value.fix

    def test_only_storage_costs_before_the_job(
        self, aws: Aws, cloud: Cloud, batch: BatchOptions, progress: Progress
    ) -> None:
        cloud.refused["CreateTransformJob"] = ("ResourceLimitExceeded", "The limit is 0 Instances")
        with pytest.raises(AwsRefused) as refused:
            transform(aws, batch, progress, cloud.sleep)
        assert "only storage" in refused.value.fix

    @pytest.mark.parametrize(
        ("fault", "error"), [("GetObject", AwsRefused), ("network", AwsRefused), ("disk", RequestRefused)]
    )
    def test_prints_how_to_fetch_answers_after_a_failure(
        self,
        aws: Aws,
        cloud: Cloud,
        batch: BatchOptions,
        progress: Progress,
        tmp_path: Path,
        fault: str,
        error: type[SageMakerError],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def run_with_fault(job: dict[str, Any]) -> None:
            run_batch(job)
            if fault == "disk":
                (tmp_path / "answers.jsonl").mkdir()  # makes writing impossible
            elif fault == "network":
                monkeypatch.setattr(StreamingBody, "read", cut_off)
            else:
                cloud.refused[fault] = ("AccessDenied", "not yours")

        def cut_off(*_: Any, **__: Any) -> bytes:
            raise ReadTimeoutError(endpoint_url="https://s3", error="timed out")

        monkeypatch.setattr("tests.serving.clouds.sagemaker.conftest.run_batch", run_with_fault)
        with pytest.raises(error) as refused:
            transform(aws, batch, progress, cloud.sleep)
        output = cloud.parameters_of("CreateTransformJob")["TransformOutput"]["S3OutputPath"]
        assert f"aws s3 cp --recursive {output}/ . --region {REGION}" in refused.value.fix


class TestInS3:
    def test_input_and_output_in_s3(self, aws: Aws, cloud: Cloud, batch: BatchOptions, progress: Progress) -> None:
        aws.put(json.dumps(RECORDS[0]).encode(), f"s3://{BUCKET}/mine/a.jsonl")
        source = f"s3://{BUCKET}/mine/"
        inside = replace(batch, source=source, content_type="application/jsonlines", output=None)
        where = transform(aws, inside, progress, cloud.sleep)
        assert (
            cloud.parameters_of("CreateTransformJob")["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] == source
        )
        assert where.startswith(f"s3://{BUCKET}/fastmar-answers/flights-")
        assert not [key for key in keys() if "/input/" in key]
        (output,) = [key for key in keys() if key.endswith(".out")]
        assert json.loads(aws.download(f"s3://{BUCKET}/{output}")) == tiny.predictor().predict(RECORDS[:1])[0]

    def test_pictures_are_sent_one_by_one(
        self, aws: Aws, cloud: Cloud, batch: BatchOptions, progress: Progress
    ) -> None:
        inside = replace(batch, source="s3://photos/of/mine/", content_type="image/jpeg", output=None)
        cloud.refused["CreateTransformJob"] = ("ValidationException", "there is no such bucket")
        with pytest.raises(AwsRefused):
            transform(aws, inside, progress, cloud.sleep)
        job = cloud.parameters_of("CreateTransformJob")
        assert (job["TransformInput"]["SplitType"], job["TransformInput"]["ContentType"]) == ("None", "image/jpeg")


class TestRefusals:
    def test_job_fails(
        self, aws: Aws, cloud: Cloud, batch: BatchOptions, progress: Progress, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_parameters: Any) -> None:
            (job,) = sagemaker_backends[ACCOUNT][REGION].transform_jobs.values()
            job.transform_job_status, job.failure_reason = "Failed", "ClientError: See job logs for more information"

        monkeypatch.setattr("tests.serving.clouds.sagemaker.conftest.run_batch", fail)
        with pytest.raises(TransformFailed) as failed:
            transform(aws, batch, progress, cloud.sleep)
        assert "See job logs" in failed.value.message
        job = cloud.parameters_of("CreateTransformJob")["TransformJobName"]
        logs = f"aws logs tail /aws/sagemaker/TransformJobs --log-stream-name-prefix {job} --region {REGION}"
        assert logs in failed.value.fix
        assert f"fastmar sagemaker delete flights --bucket {BUCKET} --region {REGION}" in failed.value.fix

    @pytest.mark.parametrize("created", ["before the job", "during the job"])
    def test_does_not_suggest_to_delete_an_endpoint_with_the_same_name(
        self,
        aws: Aws,
        cloud: Cloud,
        batch: BatchOptions,
        progress: Progress,
        monkeypatch: pytest.MonkeyPatch,
        created: str,
    ) -> None:
        def fail(_parameters: Any) -> None:
            (job,) = sagemaker_backends[ACCOUNT][REGION].transform_jobs.values()
            job.transform_job_status = "Failed"
            if created == "during the job":
                deploy(aws, options, progress, cloud.sleep)

        options = EndpointOptions(batch.model_options, "ml.m5.large", 1, 480)
        monkeypatch.setattr("tests.serving.clouds.sagemaker.conftest.run_batch", fail)
        if created == "before the job":
            deploy(aws, options, progress, cloud.sleep)
            cloud.refused["CreateTransformJob"] = ("ResourceLimitExceeded", "The limit is 0 Instances")
        with pytest.raises(SageMakerError) as failed:
            transform(aws, batch, progress, cloud.sleep)
        assert "only storage" in failed.value.fix
        assert "sagemaker delete" not in failed.value.fix

    def test_refuses_an_unknown_file_extension(
        self, aws: Aws, cloud: Cloud, batch: BatchOptions, progress: Progress
    ) -> None:
        with pytest.raises(RequestRefused) as refused:
            transform(aws, replace(batch, source="s3://bucket/rows/"), progress, cloud.sleep)
        assert refused.value.code == "unknown_content_type"
        assert keys() == []

    def test_refuses_a_missing_file(self, aws: Aws, cloud: Cloud, batch: BatchOptions, progress: Progress) -> None:
        with pytest.raises(RequestRefused) as refused:
            transform(aws, replace(batch, source="nowhere.csv"), progress, cloud.sleep)
        assert refused.value.code == "input_unreadable"
        assert "nowhere.csv" in refused.value.message

    def test_refuses_an_empty_file(
        self, aws: Aws, cloud: Cloud, batch: BatchOptions, progress: Progress, tmp_path: Path
    ) -> None:
        (tmp_path / "empty.csv").touch()
        with pytest.raises(RequestRefused) as refused:
            transform(aws, replace(batch, source=str(tmp_path / "empty.csv")), progress, cloud.sleep)
        assert refused.value.code == "input_empty"
        assert "CreateTransformJob" not in cloud.names()

    def test_refuses_local_output_for_input_in_s3(
        self, aws: Aws, cloud: Cloud, batch: BatchOptions, progress: Progress
    ) -> None:
        with pytest.raises(RequestRefused) as refused:
            transform(aws, replace(batch, source="s3://bucket/a.jsonl"), progress, cloud.sleep)
        assert refused.value.code == "local_output"

    def test_refuses_output_without_answers(self) -> None:
        with pytest.raises(TransformFailed) as failed:
            list(read_answers(b"\x00\xff", "s3://bucket/x.out"))
        assert failed.value.code == "invalid_answers"

    @pytest.mark.parametrize("output", ["missing/answers.jsonl", "", "rows.jsonl/answers.jsonl"])
    def test_refuses_output_that_is_not_writable_before_the_job(
        self, aws: Aws, cloud: Cloud, batch: BatchOptions, progress: Progress, tmp_path: Path, output: str
    ) -> None:
        with pytest.raises(RequestRefused) as refused:
            transform(aws, replace(batch, output=str(tmp_path / output)), progress, cloud.sleep)
        assert refused.value.code == "output_not_writable"
        assert cloud.calls == []

    def test_refuses_output_in_a_read_only_folder(
        self, aws: Aws, cloud: Cloud, batch: BatchOptions, progress: Progress, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("os.access", lambda *_: False)  # the tests may run as root
        with pytest.raises(RequestRefused) as refused:
            transform(aws, batch, progress, cloud.sleep)
        assert refused.value.code == "output_not_writable"
        assert cloud.calls == []

    def test_input_formats(self) -> None:
        assert input_format("a.CSV", None).content_type == CSV
        assert input_format("a.csv", "image/png").content_type == "image/png"
        assert input_format("s3://bucket/a.ndjson", None).is_splittable
