"""Learners of each kind for the tests of the pages, trained in seconds, and those of the cookbook if it is there."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fastmar_export.exporter import Options, export_learner
from tests.conftest import COOKBOOK
from tests.pictures import make_learner as picture_learner

ADULT, PEOPLE, COLOURS = "adult", "people", "colours"
EDUCATION = [" 10th", " 11th", " 12th", " Assoc", " Bachelors", " Doctorate", " HS-grad", " Masters"]
OCCUPATION = [" Clerical", " Executive", " Farming", " Sales", "\"><img src=x onerror=alert('category')>"]
LANDS = ["Bo", "Dee", "El", "Fin", "Green", "Hol", "Ice", "Jut", "Kirk", "Lap", "Mor", "New", "Od", "Po", "Rhine"]
COUNTRIES = [f" {name}land" for name in LANDS]
ROWS = 400
SAMPLES = 3


def people() -> pd.DataFrame:
    """Rows of people whose income depends on education and occupation."""
    random = np.random.default_rng(3)
    df = pd.DataFrame(
        {
            "education": random.choice(EDUCATION, ROWS),
            "occupation": random.choice(OCCUPATION, ROWS),
            "native-country": random.choice(COUNTRIES, ROWS),
            "age": random.integers(17, 90, ROWS).astype(float),
            "hours-per-week": random.normal(40, 12, ROWS).round(),
        }
    )
    score = df["education"].map(EDUCATION.index) + 3 * df["occupation"].isin([" Executive", " Sales"]) - 5
    df["income"] = np.where(score + random.normal(0, 0.5, ROWS) > 0, ">=50k", "<50k")
    df.loc[::9, "age"] = np.nan
    return df


def people_learner() -> Any:
    from fastai.tabular.all import Categorify, FillMissing, Normalize, TabularDataLoaders, set_seed, tabular_learner

    set_seed(3, reproducible=True)
    df = people()
    loaders = TabularDataLoaders.from_df(
        df,
        procs=[Categorify, FillMissing, Normalize],
        cat_names=["education", "occupation", "native-country"],
        cont_names=["age", "hours-per-week"],
        y_names="income",
        valid_idx=range(ROWS - 50, ROWS),
        bs=32,
        num_workers=0,
    )
    learn = tabular_learner(loaders, layers=[40])
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(8, 2e-2)
    return learn


def make_store(folder: Path) -> Path:
    """A model store with all of them."""
    store = folder / "store"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        people_learner().export(folder / "people.pkl")
        picture_learner(folder / "pictures").export(folder / "colours.pkl")
    people().drop(columns="income").to_csv(folder / "people.csv", index=False)
    for name in (PEOPLE, COLOURS):
        reference = folder / ("people.csv" if name == PEOPLE else "pictures")
        samples = SAMPLES if name == COLOURS else None
        options = Options(name, output=store, reference=reference, with_samples=samples)
        export_learner(folder / f"{name}.pkl", options)
    if COOKBOOK.is_dir():
        export_learner(COOKBOOK / "adult_sample_model.pkl", Options(ADULT, output=store))
    return store
