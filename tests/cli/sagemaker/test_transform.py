"""Batch Transform: what SageMaker is told, and an answer for each record in the order of the input."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from moto.sagemaker.models import sagemaker_backends
from tests.cli.sagemaker.conftest import ACCOUNT, BUCKET, REGION, Cloud, keys, lines_of
from tests.runtime import tiny

from fastmar_cli.sagemaker.aws import Aws
from fastmar_cli.sagemaker.batch import CSV, Input, answers, kind_of, pieces
from fastmar_cli.sagemaker.errors import AwsRefused, RequestRefused, TransformFailed
from fastmar_cli.sagemaker.journal import Journal
from fastmar_cli.sagemaker.model import Hosted
from fastmar_cli.sagemaker.transform import Batch, transform

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
        monkeypatch.setattr("fastmar_cli.sagemaker.batch.pieces.__defaults__", (80,))
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

        monkeypatch.setattr("tests.cli.sagemaker.conftest.run_batch", fail)
        with pytest.raises(TransformFailed, match="See job logs") as failed:
            transform(aws, batch, journal, cloud.sleep)
        assert "aws logs tail /aws/sagemaker/TransformJobs" in failed.value.fix
        assert f"fastmar sagemaker delete flights --bucket {BUCKET}" in failed.value.fix

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

    def test_kinds(self) -> None:
        assert kind_of("a.CSV", None).content_type == CSV
        assert kind_of("a.csv", "image/png").content_type == "image/png"
        assert kind_of("s3://bucket/a.ndjson", None).cuttable
