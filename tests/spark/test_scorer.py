"""A real Spark on this machine, with two Python workers: answers are those of `Model.score` in one process."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import fastmar
from fastmar_contract.errors import FastmarError
from fastmar_export.archive import write_archive
from fastmar_export.bundle import Bundle
from fastmar_runtime.predictor import Predictor
from tests.archives import tiny_archive, with_column_renamed
from tests.runtime import tiny
from tests.spark.rows import ERRORS, ROWS, assert_equal, collected, table
from tests.spark.session import TIME_ZONE, killing, session

pytestmark = [
    pytest.mark.spark,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]

ALL_ANSWERS = {
    "keep": ["id", "age"],
    "columns": [
        "prediction",
        "probability",
        "probabilities",
        "index",
        "warnings",
        "error",
        "error_code",
        "error_field",
    ],
}
MANY_LABELS = {"decoder": "category", "vocab": ["a", "b"], "activation": "softmax", "top": 1}


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with session("local[2, 4]", tmp_path_factory.mktemp("spark")) as running:
        yield running


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_archive(tmp_path_factory.mktemp("store"), "1.0")


@pytest.fixture(scope="module")
def frame(spark: Any) -> Any:
    return spark.createDataFrame(table()).repartition(4).cache()


def scorer(*args: Any, **options: Any) -> Any:
    """Imported here, because Spark is optional."""
    from fastmar.spark import scorer

    return scorer(*args, **options)


def test_answers_are_those_of_one_process(archive: Path, frame: Any) -> None:
    expected = fastmar.load(archive).score(table(), **ALL_ANSWERS)
    assert expected["error"].null_count == ROWS - ERRORS
    score = scorer(archive, frame.schema, **ALL_ANSWERS)
    for scored in (
        frame.transform(score),
        frame.mapInArrow(score, score.schema),
        frame.mapInPandas(score, score.schema),
    ):
        assert scored.schema == score.schema
        assert_equal(collected(scored), expected)


@pytest.mark.parametrize(
    ("decode", "columns", "types"),
    [
        (tiny.MULTI_DECODER, ["prediction", "probabilities"], ["array<string>", "float", "float"]),
        (MANY_LABELS, ["probabilities", "index"], ["map<string,float>", "bigint"]),
        (tiny.ONE_NUMBER_DECODER, ["prediction"], ["float"]),
        (tiny.TWO_NUMBERS_DECODER, ["prediction"], ["array<float>"]),
    ],
)
def test_types(frame: Any, tmp_path: Path, decode: dict[str, Any], columns: list[str], types: list[str]) -> None:
    spec = tiny.spec(decode=decode)
    archive = written(spec, tiny.graph(tiny.weights_for(spec)), tmp_path)
    score = scorer(archive, frame.schema, keep="id", columns=columns)
    assert [field.dataType.simpleString() for field in score.schema][1:] == types
    expected = fastmar.load(archive).score(table(), keep="id", columns=columns)
    for scored in (score(frame), frame.mapInPandas(score, score.schema)):
        assert_equal(collected(scored), expected)


def written(spec: Any, graph: bytes, folder: Path, records: list[Any] | None = None) -> Path:
    return write_archive(Bundle(spec, graph, tiny.golden(Predictor(spec, graph), records)), folder)


def test_dates(spark: Any, tmp_path: Path) -> None:
    archive = written(tiny.date_spec(), tiny.date_graph(), tmp_path, [{"saledate": "2024-02-29"}])
    value = "timestamp'2024-02-29 23:30:00' + make_dt_interval(id)"
    frame = spark.range(60)
    for kind in ("date", "timestamp", "timestamp_ntz", "string"):
        sales = frame.selectExpr("id", f"cast({value} as {kind}) as saledate").cache()
        dates = sales.toArrow()
        if kind == "timestamp":  # local time of the session
            dates = dates.set_column(1, "saledate", dates["saledate"].cast(pa.timestamp("us", TIME_ZONE)))
        expected = fastmar.load(archive).score(dates, keep="id")
        assert expected["error"].null_count == sales.count()
        assert_equal(collected(scorer(archive, sales.schema, keep="id")(sales)), expected)


def test_only_used_columns_are_sent(archive: Path, frame: Any) -> None:
    # Arrow has no type for this interval.
    more = frame.selectExpr("*", "make_interval(1, 2) as unread_interval", "'x' as prediction")
    score = scorer(archive, more.schema, keep=["prediction"], columns=["prediction"])
    assert score.inputs == ("workclass", "grade", "vip", "age", "hours", "prediction")
    assert score(more).columns == ["prediction", "fastmar_prediction"]
    assert score(more).count() == ROWS


def test_names_with_points(spark: Any, tmp_path: Path) -> None:
    archive = with_column_renamed(tiny_archive(tmp_path, "1.0"), "hours", "hours.per`week")
    renamed = table().rename_columns({"hours": "hours.per`week"})
    frame = spark.createDataFrame(renamed)
    scored = scorer(archive, frame.schema)(frame)
    assert_equal(collected(scored).drop("unread"), fastmar.load(archive).score(renamed).drop("unread"))


def test_a_stream_is_scored(archive: Path, spark: Any, frame: Any, tmp_path: Path) -> None:
    frame.write.parquet(str(tmp_path / "in"))
    stream = spark.readStream.schema(frame.schema).parquet(str(tmp_path / "in"))
    options = {"checkpointLocation": str(tmp_path / "checkpoint"), "path": str(tmp_path / "out")}
    scored = scorer(archive, frame.schema, keep=["id"])(stream)
    scored.writeStream.options(**options).trigger(availableNow=True).start().awaitTermination()
    expected = fastmar.load(archive).score(table(), keep=["id"])
    assert_equal(collected(spark.read.parquet(str(tmp_path / "out"))), expected)


def test_each_python_worker_opens_the_archive_once(archive: Path, frame: Any) -> None:
    score = scorer(archive, frame.schema, columns=["prediction"], keep=[])
    assert len(pickle.dumps(score)) < archive.stat().st_size + 10_000

    def openings(batches: Iterator[Any]) -> Iterator[Any]:
        from fastmar_bulk import spark

        before = dict(spark._opened)
        list(score(batches))
        opened = sum(model is not before.get(key) for key, model in spark._opened.items())
        yield pa.RecordBatch.from_pylist([{"worker": os.getpid(), "opened": opened}])

    tasks = frame.repartition(8).mapInArrow(openings, "worker long, opened long").toArrow().to_pylist()
    assert len(tasks) == 8
    assert sum(task["opened"] for task in tasks) == len({task["worker"] for task in tasks})


def test_a_killed_python_worker_loses_nothing(archive: Path, frame: Any, tmp_path: Path) -> None:
    score = scorer(archive, frame.schema, keep=["id"])
    killed = frame.mapInArrow(killing(score, os.getpid, tmp_path / "killed"), score.schema)
    assert_equal(collected(killed), fastmar.load(archive).score(table(), keep=["id"]))
    assert int((tmp_path / "killed").read_text()) != os.getpid()


def test_a_row_with_an_error_can_fail_the_job(archive: Path, frame: Any) -> None:
    from pyspark.errors import PythonException

    score = scorer(archive, frame.schema, errors="fail")
    assert score(frame.where("hours is not null")).count() == ROWS - ERRORS
    with pytest.raises(PythonException, match=r"(?s)RecordError: .*hours.*Fix: .*batch is row"):
        score(frame).count()


@pytest.mark.parametrize(
    ("options", "column", "code"),
    [({}, "workclass", "missing_column"), ({"keep": ["none"]}, None, "unknown_column")],
)
def test_refusals(archive: Path, frame: Any, options: dict[str, Any], column: str | None, code: str) -> None:
    with pytest.raises(FastmarError) as refused:
        scorer(archive, frame.drop(column or "id").schema, **options)
    assert refused.value.code == code
