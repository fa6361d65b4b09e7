"""Learners that fastai trains on the simulated data of `benchmarks.drift`, as archives with a profile."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmarks.drift import UNSEEN, Data, Rows

from fastmar_runtime.profiles.variables import CATEGORY

TARGET = "label"


def table(data: Data, rows: Rows) -> pd.DataFrame:
    """Rows as a table: categories are texts, `new` is one that the training does not have."""
    columns = {}
    for column in data.columns:
        values = rows.columns[column.name]
        if column.shape == CATEGORY:
            known = [None if np.isnan(value) else "new" if value == UNSEEN else f"c{value:.0f}" for value in values]
            columns[column.name] = pd.Series(known, dtype=object)
        else:
            columns[column.name] = pd.Series(values)
    columns[TARGET] = pd.Series(np.where(rows.probabilities > 0.5, "yes", "no"), dtype=object)
    return pd.DataFrame(columns)


def train(table: pd.DataFrame) -> Any:
    """A learner of a table."""
    # Slow imports, which most tests of this folder do not need.
    from fastai.tabular.all import Categorify, FillMissing, Normalize, TabularDataLoaders, tabular_learner

    names = [name for name in table if name != TARGET]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)  # FillMissing inserts a column for each
        loaders = TabularDataLoaders.from_df(
            table,
            procs=[Categorify, FillMissing, Normalize],
            cat_names=[name for name in names if table[name].dtype == object],
            cont_names=[name for name in names if table[name].dtype != object],
            y_names=TARGET,
            valid_idx=list(range(len(table) // 10)),
            bs=1024,
            num_workers=0,
        )
    learn = tabular_learner(loaders, layers=[20, 10])
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-2)
    return learn


def export(training: pd.DataFrame, store: Path, names: list[str]) -> None:
    """Train a learner, and export it with each name; the training data are the reference."""
    from fastmar_export.exporter import Options, export_learner

    store.mkdir(parents=True)
    pickle, reference = store.parent / "learner.pkl", store.parent / "training.csv"
    train(training).export(pickle)
    training.to_csv(reference, index=False)
    for name in names:
        export_learner(pickle, Options(name, output=store, reference=reference))
