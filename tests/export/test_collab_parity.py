"""Compares answers of archives with `learn.get_preds`, for collaborative filtering, where `learn.predict` fails."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastai.collab import CollabDataLoaders, TabularCollab, collab_learner
from fastai.data.block import TransformBlock
from fastai.losses import BCEWithLogitsLossFlat, L1LossFlat
from fastai.tabular.all import Categorify, tabular_config

import fastmar
from fastmar_cli.main import main
from fastmar_contract.errors import FastmarError
from fastmar_contract.members import RECORDS
from fastmar_export.errors import UnsupportedLearner
from fastmar_export.exporter import Options, export_learner
from fastmar_oracle.learner import load_learner
from fastmar_runtime import payload
from fastmar_runtime.openapi import openapi
from fastmar_runtime.predictor import BundleFiles, Predictor
from fastmar_runtime.schema import MAX_LISTED, describe
from fastmar_runtime.service import Service
from fastmar_serving.rollout.changes import BREAKING, changes
from tests.conftest import MEASURED
from tests.export.errors import raises

ROWS = 240
TOLERANCE = 1e-5  # float32 sums in another order; measured differences are at most a tenth
MAX_RESPONSE = 1 << 20
UNKNOWN = ("never seen", "1", 1, 1.0, 10**9, True, None)


def ratings() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "user": rng.integers(1, 30, ROWS),
            "title": [f"Film {number} (19{number + 60})" for number in rng.integers(0, 20, ROWS)],
            "rating": rng.integers(1, 6, ROWS).astype(float),
        }
    )


@dataclass
class Case:
    """Describes a learner: `change` makes its table from `ratings`; `learner` has arguments of `collab_learner`."""

    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda df: df
    loaders: dict[str, Any] = field(default_factory=dict)
    learner: dict[str, Any] = field(default_factory=dict)


def with_names(df: pd.DataFrame) -> pd.DataFrame:
    return df.assign(user="Ann " + df["user"].astype(str))


def with_other_columns(df: pd.DataFrame) -> pd.DataFrame:
    return df.assign(when=5)[["when", "user", "rating", "title"]]


NAMES = {"user_name": "user", "item_name": "title", "rating_name": "rating"}
CASES = {
    "dot product": Case(learner={"n_factors": 8}),
    "dot product, y_range": Case(learner={"n_factors": 8, "y_range": (0.5, 5.5)}),
    "dot product, one factor": Case(learner={"n_factors": 1, "y_range": [0, 5.5]}),
    "dot product, y_range of numpy": Case(learner={"n_factors": 8, "y_range": (np.float32(0.3), np.int64(5))}),
    "dot product, defaults": Case(),
    "network": Case(learner={"use_nn": True}),
    "network, layers and y_range": Case(learner={"use_nn": True, "layers": [30, 10], "y_range": (0.5, 5.5)}),
    "network, sizes, no batch norm": Case(
        learner={
            "use_nn": True,
            "emb_szs": {"user": 6, "title": 4},
            "config": tabular_config(use_bn=False, ps=[0.2], embed_p=0.1),
        }
    ),
    "network, y_range of numpy": Case(learner={"use_nn": True, "y_range": (0, np.int64(5))}),
    "string ids": Case(change=with_names, learner={"n_factors": 8, "y_range": (0.5, 5.5)}),
    "float ids": Case(change=lambda df: df.astype({"user": float}), learner={"n_factors": 8}),
    "integer column names": Case(change=lambda df: df.set_axis([0, 1, 2], axis=1), learner={"n_factors": 8}),
    "other columns": Case(change=with_other_columns, loaders=NAMES, learner={"n_factors": 8}),
    "yes or no": Case(
        change=lambda df: df.assign(rating=(df["rating"] > 3).astype(float)),
        learner={"n_factors": 8, "loss_func": BCEWithLogitsLossFlat()},
    ),
    "l1 loss": Case(learner={"use_nn": True, "loss_func": L1LossFlat()}),
}


def make_learner(case: Case) -> tuple[Any, pd.DataFrame]:
    """A learner, trained for one epoch, and its table."""
    df = case.change(ratings())
    dls = CollabDataLoaders.from_df(df, seed=1, bs=32, num_workers=0, **case.loaders)
    learn = collab_learner(dls, **case.learner)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-2)
    return learn, df


def exported(learn: Any, folder: Path) -> Predictor:
    learn.export(folder / "learner.pkl")
    return Predictor.open(export_learner(folder / "learner.pkl", Options("films", output=folder)).path)


def rows(df: pd.DataFrame, columns: list[Any]) -> list[dict[Any, Any]]:
    """Rows of the table, and the first one with values of other types, unknown values and nulls."""
    found = [dict(row) for row in df[columns].astype(object).iloc[::11].to_dict("records")]
    return found + [found[0] | {name: value} for name in columns for value in UNKNOWN]


def fastai_ratings(learn: Any, inputs: list[dict[Any, Any]]) -> np.ndarray:
    with learn.no_bar(), learn.no_logging():
        ratings, _ = learn.get_preds(dl=learn.dls.test_dl(pd.DataFrame(inputs, dtype=object)))
    return ratings.numpy().reshape(len(inputs))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Predictor]:
    """The folder with the pickle and the archive of a dot product, and the archive's predictor."""
    folder = tmp_path_factory.mktemp("films")
    learn, _ = make_learner(CASES["dot product, y_range"])
    return folder, exported(learn, folder)


@pytest.mark.parametrize("name", CASES)
def test_answers_equal_fastai(name: str, tmp_path: Path, record_property: Any) -> None:
    learn, df = make_learner(CASES[name])
    predictor = exported(learn, tmp_path)
    inputs = rows(df, list(learn.dls.cat_names))
    records = [{str(column): value for column, value in row.items()} for row in inputs]
    ours = np.array([answer["prediction"] for answer in predictor.predict(records)])
    loaded = load_learner(tmp_path / "learner.pkl")
    usual = len(inputs) - 2 * len(UNKNOWN)
    theirs = fastai_ratings(loaded, inputs[:usual])
    assert np.ptp(theirs) > 1e-3, "the ratings depend on the row"
    # pandas compares a value otherwise in a column of several types, and fastai fails on a table of one row
    theirs = np.concatenate([theirs, *(fastai_ratings(loaded, [row, row])[:1] for row in inputs[usual:])])
    difference = float(np.max(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))))
    record_property(MEASURED, difference)
    assert difference <= TOLERANCE
    assert predictor.predict(records[:1])[0]["prediction"] == pytest.approx(ours[0], abs=TOLERANCE)


@pytest.mark.parametrize("name", ["dot product, y_range", "network", "integer column names"])
def test_verify_compares_with_fastai(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    learn, df = make_learner(CASES[name])
    exported(learn, tmp_path)
    df.iloc[:20].to_csv(tmp_path / "rows.csv", index=False)
    arguments = [str(tmp_path / "films.mar"), "--learner", str(tmp_path / "learner.pkl")]
    assert main(["verify", *arguments, "--data", str(tmp_path / "rows.csv")]) == 0
    assert "52 records against fastai: same answers" in capsys.readouterr().out


def test_unknown_users_and_items_are_warned_of(films: tuple[Path, Predictor]) -> None:
    _, predictor = films
    known = {"user": 7, "title": "Film 3 (1963)"}
    changed = [{"user": 999}, {"title": "Film 99"}, {"user": "7"}, {"user": None}]
    known_answer, *answers = predictor.predict([known, *({**known, **change} for change in changed)])
    assert known_answer.keys() == {"prediction", "warnings"}
    assert known_answer["warnings"] == []
    found = [[(w["field"], w["code"]) for w in answer["warnings"]] for answer in answers]
    user, title = [("user", "unknown_category")], [("title", "unknown_category")]
    assert found == [user, title, user, []]
    one, _, text, null = (answer["prediction"] for answer in answers)
    assert one == text == null, "fastai's row for #na#"


def test_export_needs_neither_fastai_nor_code_of_the_pickle(
    films: tuple[Path, Predictor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, predictor = films
    for name in [name for name in sys.modules if name.partition(".")[0] in ("fastai", "fastcore")]:
        monkeypatch.setitem(sys.modules, name, None)
    result = export_learner(folder / "learner.pkl", Options("films", output=tmp_path))
    assert result.spec == predictor.spec


def test_export_of_a_live_learner(tmp_path: Path) -> None:
    learn, _ = make_learner(CASES["dot product, y_range"])
    summary = fastmar.export(learn, tmp_path, name="films")
    assert "user: one of 1, 2, 3" in repr(summary)


BODIES = {
    "a record": ("application/json", b'{"user": 7, "title": "Film 3 (1963)"}'),
    "a list": ("application/json", b'[{"user": 7, "title": "Film 3 (1963)"}]'),
    "a table": ("text/csv", b"title,user\nFilm 3 (1963),7\n"),
    "tensors": (
        "application/json",
        b'{"inputs": [{"name": "user", "shape": [1], "datatype": "INT64", "data": [7]},'
        b' {"name": "title", "shape": [1], "datatype": "BYTES", "data": ["Film 3 (1963)"]}]}',
    ),
}


@pytest.mark.parametrize("network", ["dot product, y_range", "network"])
def test_responses_to_all_bodies(network: str, tmp_path: Path) -> None:
    learn, _ = make_learner(CASES[network])
    predictor = exported(learn, tmp_path)
    service = Service(predictor, MAX_RESPONSE)
    expected = predictor.predict([{"user": 7, "title": "Film 3 (1963)"}])[0]["prediction"]
    read: dict[str, Any] = {}
    for name, (content_type, body) in BODIES.items():
        request = service.receive(
            lambda limit, body=body, kind=content_type: payload.read(body, kind, predictor.spec, limit)
        )
        [response] = service.respond([request])
        assert response.status == 200, (name, response.body)
        read[name] = json.loads(response.body)
    assert read["a record"] == {"prediction": expected, "warnings": []}
    assert read["a list"] == read["a table"] == [read["a record"]]
    [tensor] = [output for output in read["tensors"]["outputs"] if output["name"] == "prediction"]
    assert tensor["shape"] == [1, 1]
    assert tensor["data"] == pytest.approx([expected])


def test_documents_and_golden_records_do_not_grow_with_the_items(tmp_path: Path) -> None:
    many = MAX_LISTED * 10
    df = pd.DataFrame({"user": range(many), "item": [f"item {number}" for number in range(many)], "rating": 1.0})
    learn = collab_learner(CollabDataLoaders.from_df(df, valid_pct=0.01, seed=1, bs=1024), n_factors=2)
    predictor = exported(learn, tmp_path)
    users, items = predictor.spec.fields
    assert min(len(users.categories), len(items.categories)) > many * 0.98  # the others are not in the training rows
    for document in (describe(predictor.spec), openapi(predictor.spec)):
        text = json.dumps(document)
        assert 0 < text.count("item ") < 3 * MAX_LISTED
        assert len(text) < 100_000
    assert len(BundleFiles(tmp_path / "films.mar").json(RECORDS)) == 32


def test_numbers_that_the_network_does_not_read_are_refused(tmp_path: Path) -> None:
    df = ratings().assign(age=1.5)
    splits = (list(range(200)), list(range(200, ROWS)))
    table = TabularCollab(
        df, [Categorify], ["user", "title"], ["age"], y_names=["rating"], y_block=TransformBlock(), splits=splits
    )
    collab_learner(table.dataloaders(), n_factors=2).export(tmp_path / "learner.pkl")
    with raises(UnsupportedLearner, "numbers_not_read", "'age'"):
        export_learner(tmp_path / "learner.pkl", Options("films", output=tmp_path))


def test_network_replaces_a_dot_product_without_a_breaking_change(
    films: tuple[Path, Predictor], tmp_path: Path
) -> None:
    learn, _ = make_learner(CASES["network, layers and y_range"])
    new = exported(learn, tmp_path)
    assert all(change.level != BREAKING for change in changes(films[1].spec, new.spec))


def test_own_network_is_refused(tmp_path: Path) -> None:
    learn, _ = make_learner(CASES["dot product"])
    learn.model = type("OwnDotProduct", (type(learn.model),), {"__module__": "own"})(2, 3, 4)
    learn.export(tmp_path / "learner.pkl")
    with pytest.raises(FastmarError) as caught:
        export_learner(tmp_path / "learner.pkl", Options("films", output=tmp_path))
    assert caught.value.code == "unsupported_module"
