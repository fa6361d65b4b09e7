"""From a pickle to an archive: what is written, what is refused, and what is said about it."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.tabular.all import Categorify, FillMissing, Normalize, TabularProc

from fastmar_export.errors import (
    ArchiveExists,
    ExportError,
    NotALearner,
    UnsupportedLearner,
    UnsupportedModule,
    UnsupportedTransform,
)
from fastmar_export.exporter import ExportResult, Options, export_learner
from fastmar_runtime.golden import check_golden, read_golden
from fastmar_runtime.predictor import BundleFiles, Predictor
from tests.export.tables import CASES, Case, dated, make_learner, table


class MyNormalize(Normalize):
    """A user's subclass: it may compute anything."""


class MyProc(TabularProc):
    order = 50

    def encodes(self, to: Any) -> Any:
        return to


class ChangesLater(Callback):
    def after_loss(self) -> None:
        self.learn.pred = self.pred * 2


class Changer(Callback):
    def after_pred(self) -> None:
        self.learn.pred = self.pred * 2


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    learn, _ = make_learner(CASES["missing values everywhere"])
    path = tmp_path_factory.mktemp("learner") / "learner.pkl"
    learn.export(path)
    return path


@pytest.fixture(scope="module")
def exported(learner: Path, tmp_path_factory: pytest.TempPathFactory) -> ExportResult:
    return export_learner(learner, Options("model", output=tmp_path_factory.mktemp("store")))


def export_case(case: Case, folder: Path, **options: Any) -> ExportResult:
    learn, _ = make_learner(case)
    learn.export(folder / "learner.pkl")
    return export_learner(folder / "learner.pkl", Options("model", output=folder, force=True, **options))


def test_same_learner_gives_the_same_bytes(learner: Path, exported: ExportResult, tmp_path: Path) -> None:
    again = export_learner(learner, Options("model", output=tmp_path))
    assert again.path.read_bytes() == exported.path.read_bytes()


def test_the_clock_is_in_the_archive_only_where_it_is_asked_for(
    learner: Path, exported: ExportResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    dated_archive = export_learner(learner, Options("model", output=tmp_path))
    assert dated_archive.spec.provenance is not None
    assert dated_archive.spec.provenance["created"] == "2023-11-14T22:13:20+00:00"
    assert BundleFiles(dated_archive.path).json("MAR-INF/MANIFEST.json")["createdOn"] == "14/11/2023 22:13:20"
    assert exported.spec.provenance is not None
    assert exported.spec.provenance["created"] is None


def test_archive_has_torchserves_layout_and_neither_pickle_nor_torch(exported: ExportResult) -> None:
    with zipfile.ZipFile(exported.path) as archive:
        names = archive.namelist()
        manifest = json.loads(archive.read("MAR-INF/MANIFEST.json"))
    assert manifest["runtime"] == "python"
    assert manifest["model"] == {
        "modelName": "model",
        "serializedFile": "model.onnx",
        "handler": "fastmar_handler.py",
        "modelVersion": "1.0",
        "configFile": "model-config.yaml",
    }
    assert {manifest["model"][key] for key in ("serializedFile", "handler", "configFile")} <= set(names)
    assert not [name for name in names if name.endswith((".pkl", ".pth", ".pt", ".pyc"))]
    assert "fastmar_runtime/engines/torchserve.py" in names


def test_no_training_row_and_no_path_of_this_machine_is_in_the_archive(tmp_path: Path) -> None:
    secret = "row-of-a-person-1234567"
    case = Case(change=lambda df: df.assign(weight=np.where(df.index == 3, 71.6180339887, df["weight"])))
    learn, df = make_learner(case)
    learn.export(tmp_path / "learner.pkl")
    learn.dls.valid.dataset.items["leak"] = secret  # as older versions left rows behind
    torch.save(learn, tmp_path / "leaky.pkl", pickle_protocol=2)
    result = export_learner(tmp_path / "leaky.pkl", Options("model", output=tmp_path))
    assert result.source.leaks
    with zipfile.ZipFile(result.path) as archive:
        everything = b"".join(archive.read(name) for name in archive.namelist())
    for kept_out in (secret, "71.618033", str(tmp_path), str(Path(__file__).parents[2])):
        assert kept_out.encode() not in everything
    assert len(df) > len(BundleFiles(result.path).json("golden/records.json"))


def test_golden_records_are_reproduced_by_the_archive(exported: ExportResult) -> None:
    predictor = Predictor.open(exported.path)
    golden = read_golden(BundleFiles(exported.path), [t.name for t in predictor.spec.inputs])
    assert check_golden(predictor, golden) < 1e-5
    codes = {w["code"] for answer in golden.answers for w in answer["warnings"]}
    assert codes == {"unknown_category", "category_whitespace"}
    assert any(value is None for record in golden.records for value in record.values())


def test_graph_does_not_depend_on_the_size_of_a_batch(exported: ExportResult) -> None:
    predictor = Predictor.open(exported.path)
    records = BundleFiles(exported.path).json("golden/records.json")
    together = predictor.predict(records)
    alone = [predictor.predict([record])[0] for record in records]
    for one, other in zip(alone, together, strict=True):
        assert one["prediction"] == other["prediction"]
        assert list(one["probabilities"].values()) == pytest.approx(list(other["probabilities"].values()), abs=1e-6)


def test_another_version_is_replaced_only_by_force(learner: Path, tmp_path: Path) -> None:
    export_learner(learner, Options("model", output=tmp_path))
    before = (tmp_path / "model.mar").read_bytes()
    with pytest.raises(ExportError, match=r"holds version 1\.0.*(?s:.)*--force"):
        export_learner(learner, Options("model", version="2.0", output=tmp_path))
    assert (tmp_path / "model.mar").read_bytes() == before
    export_learner(learner, Options("model", version="2.0", output=tmp_path, force=True))
    assert Predictor.open(tmp_path / "model.mar").spec.version == "2.0"
    assert [path.name for path in tmp_path.iterdir()] == ["model.mar"]


def test_another_learner_is_replaced_only_by_force(learner: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    export_learner(learner, Options("model", output=store))
    before = (store / "model.mar").read_bytes()
    export_learner(learner, Options("model", output=store, exif_transpose=True))  # the same learner, said otherwise
    other, _ = make_learner(CASES["two classes"])
    other.export(tmp_path / "other.pkl")
    digests = [hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in (learner, tmp_path / "other.pkl")]
    with pytest.raises(ArchiveExists, match=r"model\.mar \(written 20.*other\.pkl.*written 20") as refused:
        export_learner(tmp_path / "other.pkl", Options("model", output=store))
    assert all(digest in refused.value.message for digest in digests)
    assert {"--version 2.0", "--output new", "--force"} <= set(re.findall(r"--[a-z]+(?: 2.0| new)?", refused.value.fix))
    assert (store / "model.mar").read_bytes() == before
    export_learner(tmp_path / "other.pkl", Options("model", version="2.0", output=tmp_path / "new"))
    assert (store / "model.mar").read_bytes() == before
    export_learner(tmp_path / "other.pkl", Options("model", output=store, force=True))
    assert Predictor.open(store / "model.mar").spec.targets == ("label",)
    assert (store / "model.mar").read_bytes() != before


def test_a_file_that_is_no_archive_is_replaced_only_by_force(learner: Path, tmp_path: Path) -> None:
    (tmp_path / "model.mar").write_bytes(b"somebody's")
    with pytest.raises(ArchiveExists, match="did not write it"):
        export_learner(learner, Options("model", output=tmp_path))
    assert (tmp_path / "model.mar").read_bytes() == b"somebody's"
    export_learner(learner, Options("model", output=tmp_path, force=True))


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x", "a b", "é", "x" * 0])
def test_names_that_break_a_url_are_refused(learner: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(ExportError, match="Fix:"):
        export_learner(learner, Options(name, output=tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("proc", [MyProc, MyNormalize])
def test_unknown_procs_are_refused_by_name_also_subclasses(proc: type, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedTransform, match=rf"dls.procs\[\d\] is .*{proc.__name__}(?s:.)*Fix:"):
        export_case(Case(procs=[Categorify, FillMissing, proc]), tmp_path)
    assert not list(tmp_path.glob("*.mar"))


def test_callbacks_that_could_change_answers_are_refused_unless_ignored(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedLearner, match=r"Changer(?s:.)*--ignore-callback Changer"):
        export_case(Case(learner={"cbs": [Changer()]}), tmp_path)
    result = export_case(Case(learner={"cbs": [Changer()]}), tmp_path, ignored_callbacks=["Changer"])
    assert any("Changer" in dropped["what"] for dropped in result.spec.dropped)


def test_layers_outside_the_allow_list_are_refused_by_name(tmp_path: Path) -> None:
    class Mine(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x

    learn, _ = make_learner(Case())
    learn.model.layers.append(Mine())
    learn.export(tmp_path / "learner.pkl")
    with pytest.raises(UnsupportedModule, match=r"model\.layers\.3 is .*Mine"):
        export_learner(tmp_path / "learner.pkl", Options("model", output=tmp_path))


def test_a_replaced_forward_is_refused(tmp_path: Path) -> None:
    learn, _ = make_learner(Case())
    learn.model.layers[0].forward = torch.relu
    learn.export(tmp_path / "learner.pkl")
    with pytest.raises(UnsupportedModule, match="forward"):
        export_learner(tmp_path / "learner.pkl", Options("model", output=tmp_path))


def test_a_loss_without_activation_answers_raw_outputs_and_says_so(tmp_path: Path) -> None:
    case = Case(y="kind", learner={"loss_func": torch.nn.functional.cross_entropy})
    learn, df = make_learner(Case(y="kind"))
    learn.loss_func = torch.nn.CrossEntropyLoss()
    learn.export(tmp_path / "learner.pkl")
    raw = export_learner(tmp_path / "learner.pkl", Options("raw", output=tmp_path))
    assert [notice["code"] for notice in raw.spec.notices] == ["raw_outputs"]
    asked = export_learner(tmp_path / "learner.pkl", Options("asked", output=tmp_path, activation="softmax"))
    record = df.loc[0, [*case.cats, *case.conts]].to_dict()
    [outputs], [answer] = Predictor.open(raw.path).predict([record]), Predictor.open(asked.path).predict([record])
    expected = torch.softmax(torch.tensor(outputs["prediction"]), 0).tolist()
    assert list(answer["probabilities"].values()) == pytest.approx(expected, abs=1e-6)


def test_float_and_bool_categories_are_said_loudly(tmp_path: Path) -> None:
    result = export_case(CASES["float categories"], tmp_path)
    assert [(n["field"], n["code"]) for n in result.spec.notices] == [("share", "float_categories")]
    assert "0.1" in result.spec.notices[0]["message"]
    result = export_case(CASES["bool categories"], tmp_path)
    assert [(n["field"], n["code"]) for n in result.spec.notices] == [("flag", "bool_categories")]


def test_flags_of_fill_missing_are_no_columns_of_a_record(exported: ExportResult) -> None:
    assert [f.name for f in exported.spec.fields] == ["color", "size", "age", "weight"]
    assert {f.name for f in exported.spec.fields if f.kind == "number" and f.nullable} == {"age", "weight"}


def test_a_record_may_carry_the_date_that_was_taken_apart(tmp_path: Path) -> None:
    case = CASES["date taken apart"]
    result = export_case(case, tmp_path)
    predictor = Predictor.open(result.path)
    apart = dated(table())
    for row in range(0, 60, 7):
        parts = {name: apart[name].iloc[row].item() for name in [*case.cats[1:], *case.conts]}
        whole = {"saledate": str(table()["when"].iloc[row].date())}
        size = {"size": apart["size"].iloc[row]}
        assert predictor.predict([size | whole]) == predictor.predict([size | parts])
    [absent, null] = predictor.predict([{"size": "S"}, {"size": "S", "saledate": None}])
    assert absent["error"]["field"] == null["error"]["field"] == "saledate"
    field = next(f for f in result.spec.fields if f.name == "saledate")
    assert not field.nullable
    assert table()["when"].min() < pd.Timestamp(field.default) < table()["when"].max()
    first = BundleFiles(result.path).json("golden/answers.json")[0]
    assert first["warnings"] == []  # the record that examples show


def test_a_reference_table_tells_defaults_and_ranges_and_stays_out(learner: Path, tmp_path: Path) -> None:
    frame = pd.DataFrame({"color": ["red", "red", "white"], "age": [30, 41, 77], "weight": [50.5, None, 123.456]})
    frame.to_csv(tmp_path / "reference.csv", index=False)
    result = export_learner(learner, Options("model", output=tmp_path, reference=tmp_path / "reference.csv"))
    fields = {f.name: f for f in result.spec.fields}
    assert (fields["color"].default, fields["age"].default) == ("red", 41)
    assert (fields["weight"].minimum, fields["weight"].maximum) == (50.5, 123.456)


def test_a_network_whose_training_ended_in_nan_is_refused(tmp_path: Path) -> None:
    learn, _ = make_learner(Case())
    learn.model.layers[0][0].weight.data[0, 0] = float("nan")
    learn.export(tmp_path / "learner.pkl")
    with pytest.raises(ExportError, match=r"not finite(?s:.)*train it again"):
        export_learner(tmp_path / "learner.pkl", Options("model", output=tmp_path))


def test_a_learner_without_data_loaders_is_no_learner(tmp_path: Path) -> None:
    torch.save({"model": 1, "opt": 2}, tmp_path / "weights.pth")
    with pytest.raises(NotALearner, match="Fix:"):
        export_learner(tmp_path / "weights.pth", Options("model", output=tmp_path))


def test_plain_pickle_is_read_as_cloudpickle_is(tmp_path: Path) -> None:
    learn, _ = make_learner(Case())
    learn.export(tmp_path / "cloud.pkl")
    learn.export(tmp_path / "plain.pkl", pickle_module=pickle)
    specs = [export_learner(tmp_path / f"{how}.pkl", Options(how, output=tmp_path)).spec for how in ("cloud", "plain")]
    assert specs[0].steps == specs[1].steps
    assert specs[0].fields == specs[1].fields
