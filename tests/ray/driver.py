"""Scores a Parquet file with `fastmar.ray.scorer`; run by `test_data`.

    python -m tests.ray.driver ADDRESS ARCHIVE TABLE OUTPUT

The archive is deleted before the first actor starts. After the first answers, a line on stdin is awaited, so that the
test can kill an actor. Prints the nodes, processes and threads of the actors.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from ray.data import ActorPoolStrategy

import fastmar
from tests.ray.data_cluster import THREADS

SECONDS_A_BATCH = 0.02


def main(address: str, archive: str, table: str, output: str) -> None:
    printed = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # Ray prints to stdout
    ray.init(address=address, log_to_driver=False)
    scorer = fastmar.ray.scorer(archive, keep=["id"], columns=["prediction", "probabilities", "warnings", "error"])
    Path(archive).unlink()

    class Traced(scorer):  # type: ignore[misc,valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.here = f"{ray.get_runtime_context().get_node_id()} {os.getpid()} {self.workers}"

        def __call__(self, batch: pa.Table) -> pa.Table:
            time.sleep(SECONDS_A_BATCH)
            answers = super().__call__(batch)
            return answers.append_column("actor", pa.array([self.here] * len(answers)))

    dataset = ray.data.read_parquet(table)
    dataset.context.execution_options.preserve_order = True
    scored = dataset.repartition(target_num_rows_per_block=100).map_batches(
        Traced, batch_format="pyarrow", batch_size=100, compute=ActorPoolStrategy(size=2), num_cpus=THREADS
    )
    parts: list[Any] = []
    for part in scored.iter_batches(batch_format="pyarrow", batch_size=None):
        parts.append(part)
        if len(parts) == 1:
            print(json.dumps("started"), file=printed, flush=True)
            sys.stdin.readline()
    found = pa.concat_tables(parts)
    print(json.dumps(found["actor"].unique().to_pylist()), file=printed, flush=True)
    pq.write_table(found.drop_columns(["actor"]), output)
    ray.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
