"""Learners that fastai trains on the simulated data of `benchmarks.drift`, as archives with a profile."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from benchmarks.drift import UNSEEN, Data, Rows

from fastmar_runtime.profiles.variables import CATEGORY


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
    columns["label"] = pd.Series(np.where(rows.probabilities > 0.5, "yes", "no"), dtype=object)
    return pd.DataFrame(columns)


def export(data: Data, store: Path, names: list[str], rows: int) -> pd.DataFrame:
    """Train a learner, and export it with each name; returns the training data, which are the reference."""
    # Slow imports, which most tests of this folder do not need.
    from fastai.tabular.all import Categorify, FillMissing, Normalize, TabularDataLoaders, tabular_learner

    from fastmar_export.exporter import Options, export_learner

    training = table(data, data.draw(rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)  # FillMissing inserts a column for each
        loaders = TabularDataLoaders.from_df(
            training,
            procs=[Categorify, FillMissing, Normalize],
            cat_names=[column.name for column in data.columns if column.shape == CATEGORY],
            cont_names=[column.name for column in data.columns if column.shape != CATEGORY],
            y_names="label",
            valid_idx=list(range(rows // 10)),
            bs=1024,
            num_workers=0,
        )
    learn = tabular_learner(loaders, layers=[20, 10])
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-2)
    store.mkdir(parents=True)
    learn.export(store.parent / "learner.pkl")
    training.to_csv(store.parent / "training.csv", index=False)
    for name in names:
        export_learner(
            store.parent / "learner.pkl", Options(name, output=store, reference=store.parent / "training.csv")
        )
    return training
