"""Shares of the steps of `fastmar score` in its processor time, for `benchmarks.bulk_score`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from fastmar_bulk.answers import Answers, AnswerTable
from fastmar_bulk.encoding import TableEncoder
from fastmar_bulk.scorer import ROWS_A_RUN, rows_a_chunk
from fastmar_bulk.sinks import CsvFormat, open_sink
from fastmar_bulk.sources import Reading, open_source
from fastmar_contract.csv_rows import UTF8
from fastmar_runtime.predictor import Predictor

READING, COLUMNS, GRAPH, ANSWERS, WRITING = "reading", "columns to inputs", "graph", "outputs to answers", "writing"


def shares(archive: Path, source: Path, target: Path) -> dict[str, float]:
    """Microseconds of processor time a row, by step; the answers alone are written.

    The steps are those of a run of one thread that saves no parts of the output.
    """
    predictor = Predictor.open(archive)
    encode, answer_table = TableEncoder(predictor.spec, predictor.preprocess), AnswerTable(predictor.spec)
    seconds = dict.fromkeys((READING, COLUMNS, GRAPH, ANSWERS, WRITING), 0.0)
    rows = 0

    @contextmanager
    def timed(step: str) -> Iterator[None]:
        started_at = time.process_time()  # of all threads: Arrow decodes columns in threads of its own
        yield
        seconds[step] += time.process_time() - started_at

    reading = Reading(predictor.spec, rows_a_chunk(predictor), UTF8)
    with closing(open_source(str(source), reading)) as opened:
        sink = open_sink(str(target), target, CsvFormat(opened.delimiter, opened.line_end, opened.bom))
        chunks = opened.chunks(reading.known)
        while True:
            with timed(READING):
                if (chunk := next(chunks, None)) is None:
                    break
                table = chunk.load()
            with timed(COLUMNS):
                encoded = encode(table)
            with timed(GRAPH):
                output = np.concatenate(
                    [
                        predictor.run({name: array[at : at + ROWS_A_RUN] for name, array in encoded.inputs.items()})
                        for at in range(0, table.size, ROWS_A_RUN)
                    ]
                )
            with timed(ANSWERS):
                columns = answer_table.columns(
                    Answers(output, encoded.errors, encoded.warnings, {}), answer_table.default
                )
            with timed(WRITING):
                sink.write(columns)
            rows += table.size
        with timed(WRITING):
            sink.close()
    return {step: spent / rows * 1e6 for step, spent in seconds.items()}
