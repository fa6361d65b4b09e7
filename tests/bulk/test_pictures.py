"""Pictures and texts in bulk: folders, patterns and tables, with the answers of the record path."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fastmar
from fastmar_bulk import part_folders
from fastmar_bulk.files import score_files
from fastmar_bulk.layout import Options
from fastmar_client.errors import CsvUnreadable, ResumeRefused
from fastmar_client.scoring import Scored
from fastmar_contract.errors import TableUnreadable
from fastmar_export.exporter import Options as ExportOptions
from fastmar_export.exporter import export_learner
from fastmar_runtime.pictures import Picture
from fastmar_runtime.predictor import Predictor
from tests.bulk.records import as_columns
from tests.bulk.test_files import interruption, read
from tests.pictures import make_learner
from tests.runtime import tiny_language, tiny_pictures

KINDS = [
    tiny_pictures.LABELS,
    {**tiny_pictures.LABELS, "top": 2},
    tiny_pictures.SEVERAL,
    tiny_pictures.NUMBERS,
    tiny_pictures.POINTS,
]
BROKEN = {"broken.jpg": b"no picture", "empty.png": b"", "cut.png": tiny_pictures.picture()[:40]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """70 pictures of several sizes in two folders, three broken ones, and files that are no pictures."""
    folder = tmp_path / "photos"
    (folder / "b").mkdir(parents=True)
    (folder / ".hidden").mkdir()
    for number in range(70):
        data = tiny_pictures.encoded(tiny_pictures.noise((20 + number % 5, 30), seed=number))
        (folder / ("b" if number % 2 else "") / f"{number:02}.png").write_bytes(data)
    for name, data in BROKEN.items():
        (folder / "b" / name).write_bytes(data)
    (folder / ".hidden" / "x.png").write_bytes(data)
    (folder / "notes.txt").write_text("no picture")
    return folder


def found_in(folder: Path) -> list[str]:
    return sorted(map(str, folder.glob("*.png"))) + sorted(str(p) for p in (folder / "b").iterdir())


def model(decode: Any = tiny_pictures.LABELS) -> Predictor:
    weights = np.random.default_rng(0).normal(size=(3, decode.get("size", 3)))
    outputs = (tiny_pictures.Tensor("output", "float32", ("batch", weights.shape[1])),)
    return tiny_pictures.predictor(tiny_pictures.graph(weights), decode=decode, outputs=outputs)


def score(model: Predictor, source: Path | str, target: Path, **options: Any) -> Scored:
    return score_files(model, "colours", str(source), str(target), Options(**options))


def check_answers(rows: list[dict[str, Any]], records: list[Any], model: Predictor) -> None:
    """Compare rows with the answers of the record path; numbers bit for bit."""
    for row, answer in zip(rows, model.predict(records), strict=True):
        if "error" in answer:
            assert row["error"] == f"{answer['error']['message']} Fix: {answer['error']['fix']}"
            assert row["error_code"] == answer["error"]["code"]
            assert row["prediction"] is None
        else:
            expected = as_columns({k: v for k, v in answer.items() if k not in ("name", "points_model")}, model)
            found = {name: row[name] for name in expected}
            assert {name: np.float32(v) if isinstance(v, float) else v for name, v in found.items()} == expected
            assert row["error"] is None


class TestPictures:
    @pytest.mark.parametrize("decode", KINDS, ids=str)
    def test_answers_are_those_of_the_record_path(self, folder: Path, tmp_path: Path, decode: Any) -> None:
        predictor = model(decode)
        names = ["probability", "probabilities", "index"] if "vocab" in decode else []
        columns = ["path", "prediction", *names, "warnings", "error", "error_code"]
        if decode["decoder"] == "multi_category":
            columns = [name for name in columns if name not in ("probability", "index")]
        scored = score(predictor, folder, tmp_path / "out.parquet", columns=columns)
        rows = read(tmp_path / "out.parquet")
        paths = found_in(folder)
        assert (scored.rows, scored.errors) == (73, len(BROKEN))
        assert [row["path"] for row in rows] == paths
        check_answers(rows, [Picture(Path(path).read_bytes(), path) for path in paths], predictor)

    def test_equal_to_fastai(self, tmp_path: Path) -> None:
        learn = make_learner(tmp_path / "pictures")
        learn.export(tmp_path / "learner.pkl")
        archive = export_learner(tmp_path / "learner.pkl", ExportOptions("colours", output=tmp_path)).path
        score(Predictor.open(archive), tmp_path / "pictures", tmp_path / "out.jsonl", columns=["path", "probabilities"])
        rows = read(tmp_path / "out.jsonl")
        with learn.no_bar(), learn.no_logging():
            expected, _ = learn.get_preds(dl=learn.dls.test_dl([row["path"] for row in rows]))
        found = [[row[f"probability_{label}"] for label in learn.dls.vocab] for row in rows]
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)  # float32 in another order

    @pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
    def test_tables_of_paths(self, folder: Path, tmp_path: Path, ending: str) -> None:
        paths = [*found_in(folder)[:5], str(folder / "missing.png"), ""]
        table = pd.DataFrame({"id": range(7), "picture": paths})
        source = tmp_path / f"in.{ending}"
        if ending == "csv":
            table.to_csv(source, index=False)
        elif ending == "parquet":
            table.to_parquet(source)
        else:
            table.to_json(source, orient="records", lines=True)
        score(model(), source, tmp_path / "out.jsonl", column="picture", columns=["input", "prediction", "error_code"])
        rows = read(tmp_path / "out.jsonl")
        assert [int(row["id"]) for row in rows] == list(range(7))
        assert [row["picture"] for row in rows] == paths
        assert [row["error_code"] for row in rows] == [None] * 5 + ["file_unreadable", "not_a_picture"]

    @pytest.mark.parametrize("kind", ["bytes", "hugging face"])
    def test_tables_of_bytes(self, folder: Path, tmp_path: Path, kind: str) -> None:
        data = [Path(path).read_bytes() for path in found_in(folder)]
        values = data if kind == "bytes" else [{"bytes": each, "path": "x.png"} for each in data]
        pq.write_table(pa.table({"id": range(len(data)), "image": values}), tmp_path / "in.parquet")
        score(model(), tmp_path / "in.parquet", tmp_path / "out.parquet")
        columns = ["id", "image", "prediction", "error_code"]
        score(model(), tmp_path / "in.parquet", tmp_path / "chosen.parquet", columns=columns)
        rows, chosen = read(tmp_path / "out.parquet"), read(tmp_path / "chosen.parquet")
        assert list(rows[0]) == ["id", "prediction", "probability", "warnings", "error"]
        assert [row["image"] for row in chosen] == values
        answers = model().predict(data)
        assert [row["prediction"] for row in rows] == [answer.get("prediction") for answer in answers]
        assert [row["error_code"] for row in chosen] == [answer.get("error", {}).get("code") for answer in answers]

    def test_patterns_and_single_files(self, folder: Path, tmp_path: Path) -> None:
        score(model(), folder / "0*.png", tmp_path / "pattern.csv")
        assert [Path(row["path"]).name for row in read(tmp_path / "pattern.csv")] == [
            f"0{n}.png" for n in range(0, 9, 2)
        ]
        score(model(), f"{folder}/**/*.png", tmp_path / "recursive.csv", errors="separate")
        assert len(read(tmp_path / "recursive.csv")) == 70
        assert len(read(tmp_path / "recursive.errors.csv")) == 2
        assert score(model(), folder / "00.png", tmp_path / "one.csv").rows == 1

    def test_a_resumed_run_has_the_same_bytes(
        self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        score(model(), folder, tmp_path / "whole.parquet", batch_size=10)
        target = tmp_path / "out.parquet"
        with monkeypatch.context() as patched:
            patched.setattr(part_folders.os, "fsync", interruption(4))
            with pytest.raises(KeyboardInterrupt):
                score(model(), folder, target, batch_size=10, workers=1)
        resumed: list[Scored] = []
        score(model(), folder, target, batch_size=10, progress=resumed.append)
        assert 0 < resumed[0].resumed < 73
        assert target.read_bytes() == (tmp_path / "whole.parquet").read_bytes()

    def test_a_changed_folder_is_refused(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        target = tmp_path / "out.csv"
        with monkeypatch.context() as patched:
            patched.setattr(part_folders.os, "fsync", interruption(4))
            with pytest.raises(KeyboardInterrupt):
                score(model(), folder, target, batch_size=10, workers=1)
        os.utime(folder / "00.png", (1, 1))
        with pytest.raises(ResumeRefused) as refused:
            score(model(), folder, target, batch_size=10)
        assert refused.value.code == "run_changed"

    def test_the_column(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        paths = found_in(folder)[:30]
        pq.write_table(pa.table({"file": paths}), tmp_path / "one.parquet")
        assert score(model(), tmp_path / "one.parquet", tmp_path / "out.csv").errors == 0, "the only column"
        pq.write_table(pa.table({"a": paths, "b": paths}), tmp_path / "two.parquet")
        with monkeypatch.context() as patched:
            patched.setattr(part_folders.os, "fsync", interruption(3))
            with pytest.raises(KeyboardInterrupt):
                score(model(), tmp_path / "two.parquet", tmp_path / "two.csv", column="a", batch_size=10, workers=1)
        with pytest.raises(ResumeRefused) as refused:
            score(model(), tmp_path / "two.parquet", tmp_path / "two.csv", column="b", batch_size=10)
        assert refused.value.code == "run_changed"

    def test_refusals(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "two.csv").write_text("a,b\n1,2\n")
        pq.write_table(pa.table({"a": ["x"], "b": ["y"]}), tmp_path / "two.parquet")
        for source, column, code in (
            ("empty", None, "no_pictures"),
            ("none/*.jpg", None, "no_pictures"),
            ("two.csv", None, "no_header"),
            ("two.parquet", None, "unknown_column"),
            ("two.parquet", "c", "missing_column"),
        ):
            with pytest.raises(CsvUnreadable) as refused:
                score(model(), tmp_path / source, tmp_path / "out.csv", column=column)
            assert refused.value.code == code
        with pytest.raises(TableUnreadable) as masks:
            score(tiny_pictures.predictor(tiny_pictures.mask_graph(), **MASKS), folder, tmp_path / "out.csv")
        assert masks.value.code == "no_columns"
        assert "--image" in refused.value.fix

    def test_data_frames(self, folder: Path) -> None:
        paths = found_in(folder)
        loaded = fastmar.Model(model())
        answers = loaded.predict([Path(path).read_bytes() for path in paths])
        expected = [answer.get("prediction") for answer in answers]
        frame = loaded.score(pd.DataFrame({"file": paths, "id": range(len(paths))}), column="file", keep="id")
        assert [None if pd.isna(each) else each for each in frame["prediction"]] == expected
        table = loaded.score(pa.table({"image": [Path(path).read_bytes() for path in paths]}), keep=[])
        assert table["prediction"].to_pylist() == expected
        with pytest.raises(TableUnreadable):
            loaded.score(pa.table({"a": paths, "b": paths}))


MASKS = {
    "decode": tiny_pictures.MASK,
    "outputs": (tiny_pictures.Tensor("output", "float32", ("batch", 3, "height", "width")),),
}


class TestTexts:
    TEXTS = ("it was", "good and it", "was", "unknown words", "and")

    @pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
    @pytest.mark.parametrize("column", ["text", "body"])
    def test_answers_are_those_of_the_record_path(self, tmp_path: Path, ending: str, column: str) -> None:
        predictor = tiny_language.predictor()
        texts = [*self.TEXTS, None] * 60
        table = pd.DataFrame({column: texts, "id": range(len(texts))})
        source = tmp_path / f"in.{ending}"
        if ending == "csv":
            table.fillna("").to_csv(source, index=False)
        elif ending == "parquet":
            table.to_parquet(source)
        else:
            source.write_text("\n".join(map(json.dumps, table.to_dict("records"))))
        columns = ["id", "prediction", "probabilities", "error", "error_code"]
        chosen = None if column == "text" else column
        score(predictor, source, tmp_path / "out.parquet", column=chosen, columns=columns, batch_size=256)
        records = [{"text": text if text is not None or ending != "csv" else ""} for text in texts]
        rows = read(tmp_path / "out.parquet")
        assert [int(row["id"]) for row in rows] == list(range(len(texts)))
        for row, answer in zip(rows, predictor.predict(records), strict=True):
            assert row["error_code"] == answer.get("error", {}).get("code")
            assert row["prediction"] == answer.get("prediction")
            assert dict(row["probabilities"] or {}) == answer.get("probabilities", {})

    def test_several_columns_of_text(self, tmp_path: Path) -> None:
        field = tiny_language.spec().fields[0]
        fields = (field, tiny_language.replace(field, name="title"))
        steps = (
            {"step": "join_texts", "columns": ["text", "title"], "mark_fields": False},
            *tiny_language.spec().steps,
        )
        predictor = tiny_language.predictor(fields=fields, steps=steps)
        pq.write_table(pa.table({"title": ["was good"], "text": ["it"]}), tmp_path / "in.parquet")
        score(predictor, tmp_path / "in.parquet", tmp_path / "out.jsonl", columns=["prediction"])
        [answer] = predictor.predict([{"title": "was good", "text": "it"}])
        assert read(tmp_path / "out.jsonl") == [{"prediction": answer["prediction"]}]
        for column in ("title", None):
            pq.write_table(pa.table({"title": ["was good"]}), tmp_path / "in.parquet")
            with pytest.raises(CsvUnreadable):
                score(predictor, tmp_path / "in.parquet", tmp_path / "x.jsonl", column=column)
