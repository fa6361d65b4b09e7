"""Small tabular learners of all kinds, made with fastai, and rows for predictions."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from fastai.data.block import CategoryBlock, MultiCategoryBlock, RegressionBlock
from fastai.losses import CrossEntropyLossFlat, FocalLossFlat, L1LossFlat, LabelSmoothingCrossEntropyFlat
from fastai.tabular.all import (
    Categorify,
    FillMissing,
    FillStrategy,
    Normalize,
    TabularDataLoaders,
    add_datepart,
    range_of,
    tabular_config,
    tabular_learner,
)

ROWS = 200
PROCS = [Categorify, FillMissing, Normalize]


@dataclass
class Case:
    """Describes a learner.

    Attributes:
        cats, conts: columns.
        y: target or targets.
        change: makes this case's table from the basic table.
        loaders, learner: additional arguments of fastai's functions.
    """

    cats: list[Any] = field(default_factory=lambda: ["color", "size"])
    conts: list[Any] = field(default_factory=lambda: ["age", "weight"])
    y: Any = "label"
    change: Callable[[pd.DataFrame], pd.DataFrame] = lambda df: df
    procs: list[Any] = field(default_factory=lambda: list(PROCS))
    loaders: dict[str, Any] = field(default_factory=dict)
    learner: dict[str, Any] = field(default_factory=dict)


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "color": rng.choice(["red", " green", "blue ", "white"], ROWS),
            "size": rng.choice(["S", "M", "L"], ROWS),
            "age": rng.integers(18, 90, ROWS),
            "weight": rng.normal(70, 12, ROWS),
            "big": rng.normal(1e9, 1e8, ROWS),
            "when": pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 3000, ROWS), unit="D"),
            "number": rng.choice([3, 7, 11], ROWS),
            "flag": rng.choice([True, False], ROWS),
            "share": rng.choice([0.1, 1.5, 2.7], ROWS),
            "label": rng.choice(["yes", "no"], ROWS),
            "kind": rng.choice(["a", "b", "c", "d"], ROWS),
            "digit": rng.choice([0, 5, 9], ROWS),
            "price": rng.normal(3, 1, ROWS),
            "cost": rng.normal(-2, 1, ROWS),
            "t1": rng.choice([True, False], ROWS),
            "t2": rng.choice([True, False], ROWS),
            "t3": rng.choice([True, False], ROWS),
        }
    )


def holes(df: pd.DataFrame) -> pd.DataFrame:
    df = df.astype({"age": float})
    df.loc[df.index % 7 == 0, ["age", "color"]] = None
    df.loc[df.index % 5 == 0, ["weight", "size"]] = None
    return df


def ordered(df: pd.DataFrame) -> pd.DataFrame:
    levels = ["S", "M", "L", "XXL"]  # XXL is in no row
    return df.assign(size=pd.Categorical(df["size"], categories=levels, ordered=True))


def mixed(df: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return df.assign(color=pd.Series([[1, "1", 2, "x"][i] for i in rng.integers(0, 4, ROWS)], dtype=object))


def number_with_holes(df: pd.DataFrame) -> pd.DataFrame:
    return df.assign(number=df["number"].where(df.index % 6 != 0))


def dated(df: pd.DataFrame) -> pd.DataFrame:
    return add_datepart(df.rename(columns={"when": "saledate"}), "saledate")


def born(df: pd.DataFrame) -> pd.DataFrame:
    age = df["when"] - pd.Timestamp("2015-01-01")
    return dated(df.assign(when=pd.Timestamp("1950-01-01") + 5 * age))


def numbered(df: pd.DataFrame) -> pd.DataFrame:
    return df.rename(columns={"color": 0, "age": 1, "weight": 2, "label": 3})


def numbered_with_holes(df: pd.DataFrame) -> pd.DataFrame:
    return numbered(holes(df))


DATE_PARTS = ["Year", "Month", "Week", "Day", "Dayofweek", "Dayofyear", "Elapsed"]
DATE_FLAGS = [f"saleIs_{p}_{e}" for p in ("month", "quarter", "year") for e in ("end", "start")]

CASES: dict[str, Case] = {
    "two classes": Case(),
    "several classes": Case(y="kind"),
    "int labels": Case(y="digit", loaders={"y_block": CategoryBlock()}),
    "bool labels": Case(y="t1", loaders={"y_block": CategoryBlock()}),
    "one regression target": Case(y="price", loaders={"y_block": RegressionBlock()}),
    "several regression targets": Case(y=["price", "cost"], loaders={"y_block": RegressionBlock(n_out=2)}),
    "y_range": Case(y="price", loaders={"y_block": RegressionBlock()}, learner={"y_range": (0, 6)}),
    "l1 loss": Case(y="price", loaders={"y_block": RegressionBlock()}, learner={"loss_func": L1LossFlat()}),
    "several labels": Case(
        y=["t1", "t2", "t3"], loaders={"y_block": MultiCategoryBlock(encoded=True, vocab=["t1", "t2", "t3"])}
    ),
    "int categories": Case(cats=["number", "size"]),
    "int categories with holes": Case(cats=["number", "size"], change=number_with_holes),
    "bool categories": Case(cats=["flag", "color"]),
    "float categories": Case(cats=["share", "color"]),
    "ordered categories": Case(cats=["size"], change=ordered),
    "date categories": Case(cats=["when", "size"]),
    "mixed categories": Case(cats=["color"], change=mixed),
    "no categories": Case(cats=[]),
    "no numbers": Case(conts=[]),
    "bool numbers": Case(conts=["flag", "age"]),
    "big numbers": Case(conts=["big", "age"]),
    "missing values everywhere": Case(change=holes),
    "missing values without flags": Case(change=holes, procs=[Categorify, FillMissing(add_col=False), Normalize]),
    "missing values filled with a constant": Case(
        change=holes,
        procs=[Categorify, FillMissing(FillStrategy.constant, fill_vals={"age": -1, "weight": 0.5}), Normalize],
    ),
    "missing values filled with the mode": Case(
        change=holes, procs=[Categorify, FillMissing(FillStrategy.mode), Normalize]
    ),
    "no normalize": Case(procs=[Categorify, FillMissing]),
    "categorify alone": Case(procs=[Categorify]),
    "full memory": Case(loaders={"reduce_memory": False}),
    "date taken apart": Case(change=dated, cats=["size", *DATE_FLAGS], conts=[f"sale{p}" for p in DATE_PARTS]),
    "birth taken apart": Case(change=born, cats=["size", *DATE_FLAGS], conts=[f"sale{p}" for p in DATE_PARTS]),
    "integer column names": Case(change=numbered, cats=[0], conts=[np.int64(1), np.int64(2)], y=3),
    "integer column names, missing values": Case(
        change=numbered_with_holes, cats=[0], conts=[1, 2], y=3, procs=[Categorify, FillMissing(add_col=False)]
    ),
    "no batch norm": Case(learner={"config": tabular_config(use_bn=False, bn_cont=False)}),
    "linear last, dropout": Case(
        learner={"layers": [20, 10], "config": tabular_config(lin_first=False, ps=[0.1, 0.2], embed_p=0.1)}
    ),
    "batch norm at the end": Case(learner={"config": tabular_config(bn_final=True)}),
    "label smoothing": Case(y="kind", learner={"loss_func": LabelSmoothingCrossEntropyFlat()}),
    "focal loss": Case(y="kind", learner={"loss_func": FocalLossFlat()}),
    "weighted cross entropy": Case(learner={"loss_func": CrossEntropyLossFlat()}),
}


def make_learner(case: Case) -> tuple[Any, pd.DataFrame]:
    """A learner, trained for one epoch so that its batch norms have statistics, and its table."""
    targets = case.y if isinstance(case.y, list) else [case.y]
    df = case.change(table())[[*case.cats, *case.conts, *targets]]  # fastai needs the columns in this order
    loaders = {"valid_idx": list(range_of(df))[-40:], "bs": 32} | case.loaders
    dls = TabularDataLoaders.from_df(
        df,
        procs=deepcopy(case.procs),  # fastai's FillMissing can be used once
        cat_names=list(case.cats),
        cont_names=list(case.conts),
        y_names=case.y,
        num_workers=0,
        **loaders,
    )
    learn = tabular_learner(dls, **({"layers": [30, 20]} | case.learner))
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-2)
    return learn, df


def rows(case: Case, df: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of the table, and unusual ones: unknown categories, nulls in columns with nulls, values of another type."""
    columns = [*case.cats, *case.conts]
    found = [dict(row) for row in df.loc[df.index[::17], columns].astype(object).to_dict("records")]
    unknown = dict(found[0])
    unknown |= {name: "never seen" for name in case.cats if not is_date(unknown[name])}
    found.append(unknown)
    found.append(found[1] | dict.fromkeys(case.cats))
    nullable = [name for name in case.conts if df[name].isna().any()]
    found.append(found[2] | dict.fromkeys(nullable))
    found += [found[3] | {name: value} for name in case.cats for value in (3, 3.0, True, 1, "1", 1.5, 0.1, "True")]
    return found


def is_date(value: Any) -> bool:
    return isinstance(value, pd.Timestamp)


def as_record(row: dict[str, Any]) -> dict[str, Any]:
    """A row with JSON types."""
    return {str(name): _as_json(value) for name, value in row.items()}


def _as_json(value: Any) -> Any:
    if value is None or value is pd.NaT or (isinstance(value, float) and value != value):
        return None
    if is_date(value):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value
