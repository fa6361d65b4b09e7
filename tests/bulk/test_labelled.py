"""Labelled files, answered by several models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmar_bulk.labelled import LabelledRow, answer_labelled
from fastmar_client.errors import CsvUnreadable
from fastmar_runtime.pictures import Picture
from fastmar_runtime.predictor import Predictor
from tests.bulk.test_files import table
from tests.runtime import tiny, tiny_pictures

KINDS: list[dict[str, Any]] = [tiny.CATEGORY_DECODER, tiny.MULTI_DECODER, tiny.TWO_NUMBERS_DECODER]


def models(**changes: Any) -> list[Predictor]:
    spec = tiny.spec(**changes)
    return [Predictor(spec, tiny.graph(sign * tiny.weights_for(spec))) for sign in (1, -1)]


def written(folder: Path, ending: str) -> tuple[str, Any]:
    rows = table().assign(salary=["<50k", ">=50k"] * 50)
    path = str(folder / f"rows.{ending}")
    if ending == "csv":
        rows.to_csv(path, index=False)
    else:
        rows.to_parquet(path)
    return path, rows


@pytest.mark.parametrize("decode", KINDS, ids=lambda decode: decode["decoder"])
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_answers_are_those_of_records(tmp_path: Path, decode: dict[str, Any], ending: str) -> None:
    path, rows = written(tmp_path, ending)
    predictors = models(decode=decode)
    found = list(answer_labelled(predictors, path, ["salary"]))
    assert [row.labels for row in found] == [{"salary": label} for label in rows["salary"]]
    names = [field.name for field in tiny.FIELDS]
    records = [{k: None if v != v else v for k, v in row.items()} for row in rows[names].to_dict("records")]
    for at, predictor in enumerate(predictors):
        for row, expected in zip(found, predictor.predict(records), strict=True):
            ours = row.answers[at]
            assert ours.keys() >= {"error"} if "error" in expected else ours["prediction"] == _near(expected)


def _near(answer: dict[str, Any]) -> Any:
    value = answer["prediction"]
    return pytest.approx(value, rel=1e-5) if np.isreal(np.array(value)).all() else value


def test_refused_and_unreadable_rows(tmp_path: Path) -> None:
    good = "Private,7,True,49,40,<50k"
    (tmp_path / "rows.csv").write_text(
        f"workclass,grade,vip,age,hours,salary\n{good}\n{good},7\nPrivate,7,True,x,40,a\n"
    )
    first, short, refused = answer_labelled(models(), str(tmp_path / "rows.csv"), ["salary"])
    assert first.answers[0]["prediction"] != first.answers[1]["prediction"]
    assert short.labels is None
    assert refused == LabelledRow({"salary": "a"}, refused.answers)
    assert [answer["error"]["field"] for answer in refused.answers] == ["age", "age"]


def test_folders_of_pictures(tmp_path: Path) -> None:
    """The label of a picture is the name of its folder."""
    for colour in ("red", "blue"):
        (tmp_path / colour).mkdir()
        (tmp_path / colour / "one.png").write_bytes(tiny_pictures.picture(colour))
    (tmp_path / "red" / "broken.png").write_bytes(b"no picture")
    model = tiny_pictures.predictor()
    found = list(answer_labelled([model], str(tmp_path), ["label"]))
    assert [row.labels for row in found] == [{"label": "blue"}, {"label": "red"}, {"label": "red"}]
    expected = model.predict([Picture(tiny_pictures.picture(colour)) for colour in ("blue", "red")])
    assert [found[0].answers[0], found[2].answers[0]] == [
        {name: value for name, value in answer.items() if name != "warnings"} for answer in expected
    ]
    assert "error" in found[1].answers[0]


def test_a_table_of_pictures(tmp_path: Path) -> None:
    (tmp_path / "one.png").write_bytes(tiny_pictures.picture())
    (tmp_path / "rows.csv").write_text(f"file,label\n{tmp_path / 'one.png'},red\n")
    [row] = answer_labelled([tiny_pictures.predictor()], str(tmp_path / "rows.csv"), ["label"], column="file")
    assert row.labels == {"label": "red"}
    assert "prediction" in row.answers[0]


def test_a_missing_column_of_labels(tmp_path: Path) -> None:
    path, _ = written(tmp_path, "csv")
    with pytest.raises(CsvUnreadable) as refusal:
        list(answer_labelled(models(), path, ["wage"]))
    assert refusal.value.code == "missing_column"
    assert "salary" in refusal.value.fix
