"""Small versions of the two models of docs/client.md, and a transport that runs them in this process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd

from fastmar_client.served import SCHEMA_REQUEST
from fastmar_client.transport import Reply
from fastmar_contract.errors import RequestError
from fastmar_runtime import payload
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.schema import describe

CATEGORIES = {
    "workclass": [" Private", " State-gov", " Self-emp"],
    "education": [" HS-grad", " Bachelors", " Masters"],
}


def people(rows: int, seed: int = 0) -> pd.DataFrame:
    """A table like adult_sample, with some missing values."""
    rng = np.random.default_rng(seed)
    age = rng.integers(17, 90, rows).astype(float)
    table = pd.DataFrame(
        {
            **{name: rng.choice(values, rows) for name, values in CATEGORIES.items()},
            "age": age,
            "hours-per-week": rng.integers(10, 80, rows),
            "salary": np.where(age + rng.normal(0, 10, rows) > 50, ">=50k", "<50k"),
        }
    )
    table.loc[table.index % 11 == 0, ["age"]] = None
    table.loc[table.index % 7 == 0, ["workclass"]] = None
    return table


def export_adult(store: Path) -> Path:
    """Train and export `adult`."""
    from fastai.tabular.all import Categorify, FillMissing, Normalize, TabularDataLoaders, tabular_learner

    from fastmar_export.exporter import Options, export_learner

    table = people(300)
    dls = TabularDataLoaders.from_df(
        table,
        procs=[Categorify, FillMissing, Normalize],
        cat_names=list(CATEGORIES),
        cont_names=["age", "hours-per-week"],
        y_names="salary",
        valid_idx=list(range(50)),
        bs=32,
        num_workers=0,
    )
    learn = tabular_learner(dls, layers=[20, 10])
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-2)
    store.mkdir(parents=True, exist_ok=True)
    learn.export(store.parent / "adult.pkl")
    export_learner(store.parent / "adult.pkl", Options("adult", output=store))
    return store / "adult.mar"


def export_colours(store: Path) -> Path:
    """Train and export `colours`, a picture model."""
    from tests.pictures import make_learner

    from fastmar_export.exporter import Options, export_learner

    make_learner(store.parent / "pictures").export(store.parent / "colours.pkl")
    export_learner(store.parent / "colours.pkl", Options("colours", output=store))
    return store / "colours.mar"


def export_models(folder: Path) -> None:
    """Train and export both into `folder / "store"`."""
    export_adult(folder / "store")
    export_colours(folder / "store")


@dataclass
class InProcess:
    """A `Transport` that answers with the real runtime.

    `before` is called with the body of each request for predictions, and may raise.
    """

    predictor: Predictor
    bodies: list[bytes] = field(default_factory=list)
    before: Any = None

    def send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], timeout: tuple[float, float]
    ) -> Reply:
        spec = self.predictor.spec
        if path.endswith("/schema") or headers.get("Content-Type") == SCHEMA_REQUEST:
            return Reply(200, orjson.dumps(describe(spec)))
        self.bodies.append(body or b"")
        if self.before:
            self.before(body)
        try:
            request = payload.read(body, headers["Content-Type"], spec)
            response = payload.write(request, self.predictor.predict(request.records), spec)
        except RequestError as error:
            response = payload.refused(error)
        return Reply(response.status, response.body, {"Content-Type": response.content_type})

    def close(self) -> None:
        pass
