"""A real cluster of Spark, with two executors as processes of their own, of which one is killed."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

import fastmar
from tests.archives import tiny_archive
from tests.engines.calls import wait_for
from tests.spark.rows import assert_equal, collected, table
from tests.spark.session import killing, session

pytestmark = [
    pytest.mark.spark,
    pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning"),
]


def executor() -> int:
    """The executor of this Python worker."""
    found = next(each for each in psutil.Process().parents() if each.name() == "java")
    assert any("CoarseGrainedExecutorBackend" in part for part in found.cmdline())
    return found.pid


def test_a_killed_executor_loses_nothing(tmp_path: Path) -> None:
    archive = tiny_archive(tmp_path, "1.0")
    with session("local-cluster[2, 1, 1024]", tmp_path) as spark:
        from fastmar.spark import scorer

        frame = spark.createDataFrame(table())  # two partitions
        score = scorer(archive, frame.schema, keep=["id"])
        scored = frame.mapInArrow(killing(score, executor, tmp_path / "killed"), score.schema)
        assert_equal(collected(scored), fastmar.load(archive).score(table(), keep=["id"]))
    killed = int((tmp_path / "killed").read_text())
    wait_for(lambda: not psutil.pid_exists(killed))
