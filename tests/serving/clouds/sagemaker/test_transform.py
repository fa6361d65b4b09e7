"""Batch Transform: what SageMaker is told, and an answer for each record in the order of the input."""

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
from fastmar_serving.clouds.sagemaker.batch import CSV, Input, answers, kind_of, pieces
from fastmar_serving.clouds.sagemaker.endpoint import Wanted, deploy
from fastmar_serving.clouds.sagemaker.errors import AwsRefused, RequestRefused, SageMakerError, TransformFailed
from fastmar_serving.clouds.sagemaker.journal import Journal
from fastmar_serving.clouds.sagemaker.model import Hosted
from fastmar_serving.clouds.sagemaker.transform import Batch, transform

RECORDS = [tiny.record(age=20 + n) for n in range(5)]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    return path


@pytest.fixture
def batch(hosted: Hosted, rows: Path, tmp_path: Path) -> Batch:
    return Batch(hosted, str(rows), None, str(tmp_path / "answers.jsonl"), "ml.m5.large", 1)


def table(records: list[dict[str, Any]]) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(file, records[0])
    writer.writeheader()
    writer.writerows(records)
    return file.getvalue()


class TestLines:
    def test_one_answer_a_record_in_order(
        self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal, tmp_path: Path
    ) -> None:
        where = transform(aws, batch, journal, cloud.sleep)
        assert where == f"{tmp_path / 'answers.jsonl'} (5 answers)"
        assert lines_of(tmp_path / "answers.jsonl") == tiny.predictor().predict(RECORDS)

    def test_sagemaker_may_cut_them_and_puts_answers_together_by_lines(
        self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal
    ) -> None:
        transform(aws, batch, journal, cloud.sleep)
        job = cloud.asked("CreateTransformJob")
        assert job["TransformInput"]["SplitType"] == "Line"
        assert job["TransformInput"]["ContentType"] == "application/jsonlines"
        assert job["TransformOutput"]["AssembleWith"] == "Line"
        assert job["BatchStrategy"] == "MultiRecord"
        assert job["MaxConcurrentTransforms"] * job["MaxPayloadInMB"] <= 100
        assert {tag["Key"]: tag["Value"] for tag in job["Tags"]}["fastmar:name"] == "flights"

    def test_it_uses_the_endpoints_model_where_that_is_there(
        self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal
    ) -> None:
        transform(aws, batch, journal, cloud.sleep)
        cloud.calls.clear()
        transform(aws, batch, journal, cloud.sleep)
        assert "CreateModel" not in cloud.names()

    def test_a_bad_record_among_good_ones_has_its_error_in_its_place(
        self, aws: Aws, cloud: Cloud, batch: Batch, rows: Path, journal: Journal, tmp_path: Path
    ) -> None:
        rows.write_text(rows.read_text().replace('"age": 21', '"age": "old"'))
        transform(aws, batch, journal, cloud.sleep)
        told = lines_of(tmp_path / "answers.jsonl")
        assert [("error" in answer) for answer in told] == [False, True, False, False, False]


class TestTables:
    def test_one_answer_a_row_in_order_over_several_pieces(
        self,
        aws: Aws,
        cloud: Cloud,
        batch: Batch,
        journal: Journal,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        path = tmp_path / "rows.csv"
        path.write_text(table(RECORDS))
        monkeypatch.setattr("fastmar_serving.clouds.sagemaker.batch.pieces.__defaults__", (80,))
        transform(aws, replace(batch, source=str(path)), journal, cloud.sleep)
        told = lines_of(tmp_path / "answers.jsonl")
        expected = tiny.predictor().predict(RECORDS)
        assert [answer["probabilities"] for answer in told] == [answer["probabilities"] for answer in expected]
        assert len([key for key in keys() if key.endswith(".csv")]) > 1

    def test_they_are_sent_whole_for_each_piece_needs_its_header(
        self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal, tmp_path: Path
    ) -> None:
        path = tmp_path / "rows.csv"
        path.write_text(table(RECORDS))
        transform(aws, replace(batch, source=str(path)), journal, cloud.sleep)
        job = cloud.asked("CreateTransformJob")
        assert job["TransformInput"]["SplitType"] == "None"
        assert "BatchStrategy" not in job
        assert "AssembleWith" not in job["TransformOutput"]

    @pytest.mark.parametrize("size", [1, 30, 60, 10_000])
    def test_pieces_hold_every_row_once_with_line_breaks_in_cells(self, size: int, tmp_path: Path) -> None:
        path = tmp_path / "rows.csv"
        rows = [["a", "b"], *[[f"{n}\n{n}", 'with "quotes", and ü'] for n in range(7)]]
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(rows)
        found: list[list[str]] = []
        for _, content in pieces(path, Input(CSV, cuttable=False), size):
            header, *more = csv.reader(io.StringIO(content.decode(), newline=""))
            assert header == rows[0]
            assert more
            found += more
        assert found == rows[1:]

    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_every_delimiter_that_the_model_reads(
        self,
        aws: Aws,
        cloud: Cloud,
        batch: Batch,
        journal: Journal,
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
        monkeypatch.setattr("fastmar_serving.clouds.sagemaker.batch.pieces.__defaults__", (120,))
        transform(aws, replace(batch, source=str(path)), journal, cloud.sleep)
        told = lines_of(tmp_path / "answers.jsonl")
        expected = tiny.predictor().predict(RECORDS)
        assert [answer["probabilities"] for answer in told] == [answer["probabilities"] for answer in expected]
        assert len([key for key in keys() if key.endswith(".csv")]) > 1

    def test_rows_are_sent_as_they_are_written(self, tmp_path: Path) -> None:
        (tmp_path / "rows.csv").write_bytes(b'"a";b\r\n"1";2\n\n3;"x""\r\ny"\r\nonly one\r\n4;5')
        sent = [content for _, content in pieces(tmp_path / "rows.csv", Input(CSV, cuttable=False), 16)]
        head = b'"a";b\r\n'
        assert sent == [head + b'"1";2\n', head + b'3;"x""\r\ny"\r\n', head + b"only one\r\n", head + b"4;5"]


class TestInterrupted:
    def test_a_job_that_runs_is_said_to_cost(
        self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal, said: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def ctrl_c(_seconds: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("tests.serving.clouds.sagemaker.conftest.run_batch", still_running)
        with pytest.raises(KeyboardInterrupt):
            transform(aws, batch, journal, ctrl_c)
        job = cloud.asked("CreateTransformJob")
        assert "costs nothing" not in said[-1]
        assert "runs on and costs" in said[-1]
        assert (
            f"aws sagemaker stop-transform-job --transform-job-name {job['TransformJobName']} --region {REGION}"
            in said[-1]
        )
        assert f"below {job['TransformOutput']['S3OutputPath']}." in said[-1]

    def test_so_it_is_where_aws_does_not_tell_any_more(
        self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal
    ) -> None:
        cloud.refused["DescribeTransformJob"] = ("ExpiredToken", "The security token has expired")
        with pytest.raises(AwsRefused) as refused:
            transform(aws, batch, journal, cloud.sleep)
        assert "runs on and costs" in refused.value.fix

    def test_before_the_job_nothing_costs(self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal) -> None:
        cloud.refused["CreateTransformJob"] = ("ResourceLimitExceeded", "The limit is 0 Instances")
        with pytest.raises(AwsRefused) as refused:
            transform(aws, batch, journal, cloud.sleep)
        assert "It costs nothing but space" in refused.value.fix

    @pytest.mark.parametrize(
        ("fault", "error"), [("GetObject", AwsRefused), ("network", AwsRefused), ("disk", RequestRefused)]
    )
    def test_answers_that_cannot_be_fetched_are_said_to_be_in_s3(
        self,
        aws: Aws,
        cloud: Cloud,
        batch: Batch,
        journal: Journal,
        tmp_path: Path,
        fault: str,
        error: type[SageMakerError],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def run_and_spoil(job: dict[str, Any]) -> None:
            run_batch(job)
            if fault == "disk":
                (tmp_path / "answers.jsonl").mkdir()  # nobody can write there any more
            elif fault == "network":
                monkeypatch.setattr(StreamingBody, "read", cut_off)
            else:
                cloud.refused[fault] = ("AccessDenied", "not yours")

        def cut_off(*_: Any, **__: Any) -> bytes:
            raise ReadTimeoutError(endpoint_url="https://s3", error="timed out")

        monkeypatch.setattr("tests.serving.clouds.sagemaker.conftest.run_batch", run_and_spoil)
        with pytest.raises(error) as refused:
            transform(aws, batch, journal, cloud.sleep)
        output = cloud.asked("CreateTransformJob")["TransformOutput"]["S3OutputPath"]
        assert f"aws s3 cp --recursive {output}/ . --region {REGION}" in refused.value.fix


class TestInS3:
    def test_what_is_in_s3_stays_there(self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal) -> None:
        aws.put(json.dumps(RECORDS[0]).encode(), f"s3://{BUCKET}/mine/a.jsonl")
        source = f"s3://{BUCKET}/mine/"
        inside = replace(batch, source=source, content_type="application/jsonlines", output=None)
        where = transform(aws, inside, journal, cloud.sleep)
        assert cloud.asked("CreateTransformJob")["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] == source
        assert where.startswith(f"s3://{BUCKET}/fastmar-answers/flights-")
        assert not [key for key in keys() if "/input/" in key]
        (told,) = [key for key in keys() if key.endswith(".out")]
        assert json.loads(aws.download(f"s3://{BUCKET}/{told}")) == tiny.predictor().predict(RECORDS[:1])[0]

    def test_pictures_are_sent_one_by_one(self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal) -> None:
        inside = replace(batch, source="s3://photos/of/mine/", content_type="image/jpeg", output=None)
        cloud.refused["CreateTransformJob"] = ("ValidationException", "there is no such bucket")
        with pytest.raises(AwsRefused):
            transform(aws, inside, journal, cloud.sleep)
        job = cloud.asked("CreateTransformJob")
        assert (job["TransformInput"]["SplitType"], job["TransformInput"]["ContentType"]) == ("None", "image/jpeg")


class TestRefusals:
    def test_a_job_that_fails(
        self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_parameters: Any) -> None:
            (job,) = sagemaker_backends[ACCOUNT][REGION].transform_jobs.values()
            job.transform_job_status, job.failure_reason = "Failed", "ClientError: See job logs for more information"

        monkeypatch.setattr("tests.serving.clouds.sagemaker.conftest.run_batch", fail)
        with pytest.raises(TransformFailed, match="See job logs") as failed:
            transform(aws, batch, journal, cloud.sleep)
        job = cloud.asked("CreateTransformJob")["TransformJobName"]
        logs = f"aws logs tail /aws/sagemaker/TransformJobs --log-stream-name-prefix {job} --region {REGION}"
        assert logs in failed.value.fix
        assert f"fastmar sagemaker delete flights --bucket {BUCKET} --region {REGION}" in failed.value.fix

    @pytest.mark.parametrize("comes", ["before the job", "during the job"])
    def test_an_endpoint_of_the_same_name_is_not_to_be_deleted(
        self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal, monkeypatch: pytest.MonkeyPatch, comes: str
    ) -> None:
        def fail(_parameters: Any) -> None:
            (job,) = sagemaker_backends[ACCOUNT][REGION].transform_jobs.values()
            job.transform_job_status = "Failed"
            if comes == "during the job":
                deploy(aws, wanted, journal, cloud.sleep)

        wanted = Wanted(batch.hosted, "ml.m5.large", 1, 480)
        monkeypatch.setattr("tests.serving.clouds.sagemaker.conftest.run_batch", fail)
        if comes == "before the job":
            deploy(aws, wanted, journal, cloud.sleep)
            cloud.refused["CreateTransformJob"] = ("ResourceLimitExceeded", "The limit is 0 Instances")
        with pytest.raises(SageMakerError) as failed:
            transform(aws, batch, journal, cloud.sleep)
        assert "It costs nothing but space" in failed.value.fix
        assert "sagemaker delete" not in failed.value.fix

    def test_a_file_that_does_not_tell_what_it_holds(
        self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal
    ) -> None:
        with pytest.raises(RequestRefused, match="does not tell"):
            transform(aws, replace(batch, source="s3://bucket/rows/"), journal, cloud.sleep)
        assert keys() == []

    def test_a_file_that_is_not_there(self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal) -> None:
        with pytest.raises(RequestRefused, match=r"nowhere\.csv can't be read"):
            transform(aws, replace(batch, source="nowhere.csv"), journal, cloud.sleep)

    def test_an_empty_table(self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal, tmp_path: Path) -> None:
        (tmp_path / "empty.csv").touch()
        with pytest.raises(RequestRefused, match="is empty"):
            transform(aws, replace(batch, source=str(tmp_path / "empty.csv")), journal, cloud.sleep)
        assert "CreateTransformJob" not in cloud.names()

    def test_answers_to_s3_are_not_fetched(self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal) -> None:
        with pytest.raises(RequestRefused, match="stay in S3"):
            transform(aws, replace(batch, source="s3://bucket/a.jsonl"), journal, cloud.sleep)

    def test_what_is_no_answer(self) -> None:
        with pytest.raises(TransformFailed, match="does not hold answers"):
            list(answers(b"\x00\xff", "s3://bucket/x.out"))

    @pytest.mark.parametrize("output", ["missing/answers.jsonl", "", "rows.jsonl/answers.jsonl"])
    def test_a_place_for_answers_that_cannot_be_written_to_is_refused_before_anything_is_made(
        self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal, tmp_path: Path, output: str
    ) -> None:
        with pytest.raises(RequestRefused, match="answers can't be written to"):
            transform(aws, replace(batch, output=str(tmp_path / output)), journal, cloud.sleep)
        assert cloud.calls == []

    def test_a_folder_that_is_read_only_is_one_of_them(
        self, aws: Aws, cloud: Cloud, batch: Batch, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("os.access", lambda *_: False)  # whoever runs the tests may be root
        with pytest.raises(RequestRefused, match="answers can't be written to"):
            transform(aws, batch, journal, cloud.sleep)
        assert cloud.calls == []

    def test_kinds(self) -> None:
        assert kind_of("a.CSV", None).content_type == CSV
        assert kind_of("a.csv", "image/png").content_type == "image/png"
        assert kind_of("s3://bucket/a.ndjson", None).cuttable
