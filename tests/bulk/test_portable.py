"""Scorers that are sent to other processes."""

from __future__ import annotations

import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pyarrow as pa
import pytest

import fastmar
from fastmar_bulk.portable import PortableScorer
from fastmar_contract.errors import FastmarError, RecordError
from fastmar_runtime.predictor import Predictor
from tests.archives import masks_archive, tiny_archive
from tests.runtime import tiny

open_predictor = Predictor.open
TABLE = pa.Table.from_pylist([tiny.record(age=30 + row % 40) for row in range(50)])
BAD = TABLE.set_column(TABLE.column_names.index("hours"), "hours", pa.array([40.0] * 9 + [None] * 41))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_archive(tmp_path_factory.mktemp("store"), "1.2")


def score(scorer: PortableScorer, table: pa.Table) -> pa.Table:
    return scorer.open()(table)


def test_another_process_gives_the_same_table(archive: Path) -> None:
    options = {"keep": ["age"], "columns": ["prediction", "probabilities", "error"]}
    scorer = PortableScorer.read(archive, **options)
    assert len(pickle.dumps(scorer)) < archive.stat().st_size + 1000
    assert len(repr(scorer)) < 200
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        found = pool.submit(score, scorer, BAD).result()
        failing = pool.submit(score, PortableScorer.read(archive, errors="fail"), BAD)
        with pytest.raises(RecordError) as refused:
            failing.result()
    assert found.equals(fastmar.load(archive).score(BAD, **options))
    assert found.schema == scorer.output(BAD.schema)
    assert (refused.value.code, refused.value.field) == ("null_not_filled", "hours")
    assert "row 10:" in refused.value.message


def test_opens_the_model_once_in_a_process(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    monkeypatch.setattr(Predictor, "open", lambda path: opened.append(path) or open_predictor(path))
    scorer = PortableScorer.read(archive)
    scorer.output(TABLE.schema)
    scorer.inputs(TABLE.column_names)
    scorer.open()(TABLE)
    assert len(opened) == 1
    assert pickle.loads(pickle.dumps(scorer)) == scorer


def test_refusals(archive: Path, tmp_path: Path) -> None:
    refusals = {
        tmp_path / "none.mar": "bundle_not_found",
        tmp_path: "not_an_archive",
        masks_archive(tmp_path): "no_columns",
    }
    for path, code in refusals.items():
        with pytest.raises(FastmarError) as refused:
            PortableScorer.read(path)
        assert refused.value.code == code
    with pytest.raises(ValueError, match="Fix: "):
        PortableScorer.read(archive, errors="separate")
    with pytest.raises(FastmarError) as refused:
        PortableScorer.read(archive).output(TABLE.schema.remove(0))
    assert refused.value.code == "missing_column"


def test_inputs_are_the_columns_that_are_read_or_kept(archive: Path) -> None:
    names = ["more", *TABLE.column_names, "unread"]
    assert PortableScorer.read(archive, keep=["more"]).inputs(names) == names[:-1]
    assert PortableScorer.read(archive).inputs(names) == names
    with pytest.raises(FastmarError) as refused:
        PortableScorer.read(archive, keep=["none"]).inputs(names)
    assert refused.value.code == "unknown_column"
