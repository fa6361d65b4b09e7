"""Small fastai learners with objects that are defined in a notebook."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from types import ModuleType


def make(folder: Path) -> None:
    """Export tabular.pkl, plain.pkl, leaky.pkl and vision.pkl into `folder`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fastai's, about pandas and torch
        from tests.export.reader import notebook

        _tabular(folder, notebook)
        _vision(folder, notebook)


def _tabular(folder: Path, notebook: ModuleType) -> None:
    import cloudpickle
    import numpy as np
    import pandas as pd
    from fastai.tabular.all import Categorify, FillMissing, Normalize, TabularDataLoaders, accuracy, tabular_learner

    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {
            "colour": ["red", "blue"] * 20,
            "age": np.where(rng.random(40) < 0.2, np.nan, rng.random(40)),
            "sold": ["yes", "no"] * 20,
        }
    )
    dls = TabularDataLoaders.from_df(
        rows, procs=[Categorify, FillMissing, Normalize], cat_names=["colour"], cont_names=["age"], y_names="sold", bs=8
    )
    learner = tabular_learner(dls, layers=[8], metrics=accuracy)
    learner.export(folder / "plain.pkl", pickle_module=pickle)
    learner.rows = rows  # training rows in an attribute
    learner.add_cb(notebook.RememberBatches())
    learner.remember_batches.batches = np.zeros((40, 3))
    learner.export(folder / "leaky.pkl", pickle_module=pickle)
    del learner.rows
    learner.remember_batches.batches = None
    learner.get_y = lambda row: row["sold"]
    learner.label = notebook.label
    cloudpickle.register_pickle_by_value(notebook)
    try:
        learner.export(folder / "tabular.pkl")
    finally:
        cloudpickle.unregister_pickle_by_value(notebook)


def _vision(folder: Path, notebook: ModuleType) -> None:
    import torch
    from fastai.data.all import DataLoaders, Datasets, IntToFloatTensor, ToTensor
    from fastai.learner import Learner
    from fastai.losses import CrossEntropyLossFlat
    from fastai.vision.core import PILImage

    picture = notebook.picture
    sets = Datasets(
        list(range(8)), tfms=[[picture, PILImage.create], [notebook.parity]], splits=[range(6), range(6, 8)]
    )
    dls = sets.dataloaders(bs=2, after_item=[ToTensor], after_batch=[IntToFloatTensor], num_workers=0)
    assert isinstance(dls, DataLoaders)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4 * 6 * 6, 2))
    Learner(dls, model, loss_func=CrossEntropyLossFlat()).export(folder / "vision.pkl")
