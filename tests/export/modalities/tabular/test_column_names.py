"""Integer column names: records, notices and `verify` use them as text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fastai.tabular.core import Categorify, FillMissing
from tests.export.errors import raises
from tests.export.records import record
from tests.export.tables import CASES, make_learner

from fastmar_cli.main import main
from fastmar_export.errors import UnsupportedLearner
from fastmar_export.modalities.tabular.column_names import by_column, column_name, integer_names_notice, recorded_names
from fastmar_export.reader import Global
from fastmar_runtime.predictor import Predictor


def table_of(cats: list[Any], conts: list[Any], targets: list[Any]) -> Any:
    return record("fastai.tabular.core.TabularPandas", cat_names=cats, cont_names=conts, y_names=targets)


def test_export_and_verify_with_integer_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    procs = [Categorify, FillMissing(add_col=False)]  # new instances, because fastai changes them
    case = replace(CASES["integer column names, missing values"], procs=procs)
    learn, df = make_learner(case)
    pickle = tmp_path / "learner.pkl"
    learn.export(pickle)
    names = '"0", "1", "2", ...'

    assert main(["inspect", str(pickle), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["columns"] == {"categories": ["0"], "numbers": ["1", "2"]}
    assert facts["targets"] == ["3"]
    [notice] = facts["notices"]
    assert notice["code"] == "integer_column_names"
    assert names in notice["message"]
    assert main(["inspect", str(pickle)]) == 0
    assert names in capsys.readouterr().out.replace("\n", " ")

    assert main(["export", str(pickle), "--name", "numbered", "--output", str(tmp_path)]) == 0
    assert names in " ".join(capsys.readouterr().err.split())
    fields = Predictor.open(tmp_path / "numbered.mar").spec.fields
    assert [(field.name, field.nullable) for field in fields] == [("0", True), ("1", True), ("2", True)]

    data = tmp_path / "rows.csv"
    df.loc[1:20, [0, 1, 2]].to_csv(data, index=False)
    arguments = ["verify", str(tmp_path / "numbered.mar"), "--learner", str(pickle), "--data", str(data)]
    assert main(arguments) == 0
    assert "52 records against fastai: same answers" in capsys.readouterr().out


def test_integer_and_string_with_the_same_text_are_refused() -> None:
    with raises(UnsupportedLearner, "ambiguous_column_name", "'0'"):
        integer_names_notice(table_of(["0", "a"], [0, 1], ["y"]))
    with raises(UnsupportedLearner, "ambiguous_column_name", "'7'"):
        integer_names_notice(table_of(["0"], ["7"], [7]))
    assert integer_names_notice(table_of(["zero"], [0], ["y"])) is not None
    assert integer_names_notice(table_of(["0"], ["1"], ["y"])) is None


@pytest.mark.parametrize(
    "key", [1.5, True, None, ("a", "b"), 10**5000, Global("builtins", "print"), pd.Timestamp(0)], ids=type
)
def test_other_keys_are_not_column_names(key: Any) -> None:
    assert column_name(key) is None
    assert by_column({key: 1, 2: 3}) == {"2": 3}
    with raises(UnsupportedLearner, "invalid_column_name"):
        recorded_names(table_of(["a", key], [], []), "cat_names")
