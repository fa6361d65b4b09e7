"""Changed data: retrain, export, compare and deploy; the form shows the new columns and categories."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fastai.tabular.all import Categorify, FillMissing, Normalize, TabularDataLoaders, tabular_learner

import fastmar
from fastmar_cli.main import main
from fastmar_client import Client, RecordRefused
from fastmar_serving.testing import RunningServer
from fastmar_web.app import create_app
from fastmar_web.settings import Settings
from tests.engines import FAST

pytestmark = pytest.mark.asgi

ROWS = 400
COUNTRIES = [" United-States", " Mexico", " Philippines"]
RECORD = {"native-country": " Mexico", "education": " Masters", "age": 40, "hours-per-week": 38}
COMPATIBLE, BREAKING = 0, 3


def people(countries: list[str]) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "native-country": rng.choice(countries, ROWS),
            "education": rng.choice([" Bachelors", " HS-grad", " Masters"], ROWS),
            "age": rng.integers(18, 80, ROWS),
            "hours-per-week": rng.integers(10, 60, ROWS),
            "years-in-job": rng.integers(0, 46, ROWS),
            "work-location": rng.choice(["remote", "on-site", "mixed"], ROWS),
        }
    )
    table["salary"] = np.where(table["age"] + table["hours-per-week"] > 85, ">=50k", "<50k")
    return table


def export(
    folder: Path,
    version: str,
    *,
    countries: list[str],
    cats: tuple[str, ...] = (),
    conts: tuple[str, ...] = (),
    **how: Any,
) -> Path:
    loaders = TabularDataLoaders.from_df(
        people(countries),
        cat_names=["native-country", "education", *cats],
        cont_names=["age", "hours-per-week", *conts],
        procs=[Categorify, FillMissing, Normalize],
        y_names="salary",
        bs=50,
    )
    learn = tabular_learner(loaders, layers=[8])
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    return fastmar.export(learn, folder, name="people", version=version, **how).path


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("first"), "1.0", countries=COUNTRIES)


@pytest.fixture(scope="module")
def server(first: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    store = tmp_path_factory.mktemp("upkeep") / "store"
    store.mkdir()
    shutil.copy(first, store)
    with FAST.serve(store) as running:
        yield running


def form(server: RunningServer) -> str:
    page = create_app(Settings(url=server.url)).test_client().get("/models/people", base_url="http://127.0.0.1")
    assert page.status_code == 200
    return page.get_data(as_text=True)


def control(page: str, column: str) -> str:
    """The form's element for a column, with its options; empty if there is none."""
    name = rf'\b[^>]*name="{column}"[^>]*>'
    found = re.search(rf"<select{name}.*?</select>|<input{name}", page, re.DOTALL)
    return found.group(0) if found else ""


def deploy(server: RunningServer, archive: Path) -> None:
    accepted = ["--accept", "breaking-changes", "--accept", "new-errors"]
    assert main(["deploy", str(archive), "--url", server.url, *accepted]) == 0


def test_new_category(first: Path, server: RunningServer, tmp_path: Path) -> None:
    assert "United-Kingdom" not in form(server)
    new = export(tmp_path, "2.0", countries=[*COUNTRIES, " United-Kingdom"])
    assert main(["diff", str(first), str(new)]) == COMPATIBLE
    deploy(server, new)
    assert "United-Kingdom" in control(form(server), "native-country")
    with Client(server.url) as client:
        assert client.predict("people", {**RECORD, "native-country": " United-Kingdom"})["warnings"] == []
        old = client.predict("people", {**RECORD, "native-country": " United-Kingdom"}, version="1.0")
        assert [warning["code"] for warning in old["warnings"]] == ["unknown_category"]
        assert client.predict("people", RECORD)["warnings"] == []  # the old client's record


def test_new_number_column(first: Path, server: RunningServer, tmp_path: Path) -> None:
    assert control(form(server), "years-in-job") == ""
    (tmp_path / "ui.yaml").write_text(
        "fields:\n  years-in-job: {label: Years in the job, default: 5, minimum: 0, maximum: 45, step: 1}\n"
    )
    new = export(tmp_path, "3.0", countries=COUNTRIES, conts=("years-in-job",), ui=tmp_path / "ui.yaml")
    assert main(["diff", str(first), str(new)]) == BREAKING
    deploy(server, new)
    page = form(server)
    shown = control(page, "years-in-job")
    assert "data-number" in shown
    assert 'value="5"' in shown
    assert 'data-minimum="0"' in shown
    assert 'data-maximum="45"' in shown
    assert "Years in the job" in page
    with Client(server.url) as client:
        with pytest.raises(RecordRefused) as refused:  # the old client's record
            client.predict("people", RECORD)
        assert refused.value.field == "years-in-job"
        assert "prediction" in client.predict("people", RECORD, version="1.0")
        assert "prediction" in client.predict("people", {**RECORD, "years-in-job": 5})


def test_new_category_column(first: Path, server: RunningServer, tmp_path: Path) -> None:
    assert control(form(server), "work-location") == ""
    new = export(tmp_path, "4.0", countries=COUNTRIES, cats=("work-location",))
    assert main(["diff", str(first), str(new)]) == BREAKING
    deploy(server, new)
    shown = control(form(server), "work-location")
    assert all(value in shown for value in ("remote", "on-site", "mixed"))
    with Client(server.url) as client:
        with pytest.raises(RecordRefused) as refused:
            client.predict("people", RECORD)
        assert refused.value.field == "work-location"
        assert client.predict("people", {**RECORD, "work-location": "remote"})["warnings"] == []
