"""Export of a pickle to an archive: the archive's content, errors and notices."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.tabular.all import Categorify, FillMissing, Normalize, TabularProc

from fastmar_contract.members import LIMITS, SPEC
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
from tests.export.errors import raises
from tests.export.tables import CASES, Case, dated, make_learner, table


class MyNormalize(Normalize):
    """A user's subclass, which may compute anything."""


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


def test_creation_date_is_source_date_epoch(
    learner: Path, exported: ExportResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    dated_archive = export_learner(learner, Options("model", output=tmp_path))
    assert dated_archive.spec.provenance is not None
    assert dated_archive.spec.provenance["created"] == "2023-11-14T22:13:20+00:00"
    assert BundleFiles(dated_archive.path).json("MAR-INF/MANIFEST.json")["createdOn"] == "14/11/2023 22:13:20"
    assert exported.spec.provenance is not None
    assert exported.spec.provenance["created"] is None


def test_archive_has_torchserve_layout_without_pickle_and_torch(exported: ExportResult) -> None:
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


def test_archive_contains_no_training_row_and_no_local_path(tmp_path: Path) -> None:
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
    for private in (secret, "71.618033", str(tmp_path), str(Path(__file__).parents[2])):
        assert private.encode() not in everything
    assert len(df) > len(BundleFiles(result.path).json("golden/records.json"))


def test_golden_records_are_reproduced_by_the_archive(exported: ExportResult) -> None:
    predictor = Predictor.open(exported.path)
    golden = read_golden(BundleFiles(exported.path), [t.name for t in predictor.spec.inputs])
    assert check_golden(predictor, golden) < 1e-5
    codes = {w["code"] for answer in golden.answers for w in answer["warnings"]}
    assert codes == {"unknown_category", "category_whitespace"}
    assert any(value is None for record in golden.records for value in record.values())


def test_answers_do_not_depend_on_batch_size(exported: ExportResult) -> None:
    predictor = Predictor.open(exported.path)
    records = BundleFiles(exported.path).json("golden/records.json")
    together = predictor.predict(records)
    alone = [predictor.predict([record])[0] for record in records]
    for one, other in zip(alone, together, strict=True):
        assert one["prediction"] == other["prediction"]
        assert list(one["probabilities"].values()) == pytest.approx(list(other["probabilities"].values()), abs=1e-6)


def test_model_over_the_limits_of_readers_is_refused(
    learner: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LIMITS, SPEC, 100)
    with raises(ExportError, "member_too_large", "spec.json", "100"):
        export_learner(learner, Options("people", output=tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_replacing_another_version_needs_force(learner: Path, tmp_path: Path) -> None:
    export_learner(learner, Options("model", output=tmp_path))
    before = (tmp_path / "model.mar").read_bytes()
    with raises(ArchiveExists, "another_version_exists", "1.0", "2.0") as caught:
        export_learner(learner, Options("model", version="2.0", output=tmp_path))
    assert "--force" in caught.value.fix
    assert (tmp_path / "model.mar").read_bytes() == before
    export_learner(learner, Options("model", output=tmp_path / "new"))
    with raises(ArchiveExists, "another_version_exists", "1.0", "2.0") as caught:
        export_learner(learner, Options("model", version="2.0", output=tmp_path / "new"))
    assert "--output new)" not in caught.value.fix
    shutil.rmtree(tmp_path / "new")
    export_learner(learner, Options("model", version="2.0", output=tmp_path, force=True))
    assert Predictor.open(tmp_path / "model.mar").spec.version == "2.0"
    assert [path.name for path in tmp_path.iterdir()] == ["model.mar"]


def test_replacing_another_learner_needs_force(learner: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    export_learner(learner, Options("model", output=store))
    before = (store / "model.mar").read_bytes()
    export_learner(learner, Options("model", output=store, exif_transpose=True))  # the same learner, other options
    other, _ = make_learner(CASES["two classes"])
    other.export(tmp_path / "other.pkl")
    digests = [hashlib.sha256(path.read_bytes()).hexdigest()[:12] for path in (learner, tmp_path / "other.pkl")]
    with raises(ArchiveExists, "another_learner_exists", "model.mar", "other.pkl", *digests) as caught:
        export_learner(tmp_path / "other.pkl", Options("model", output=store))
    assert len(re.findall(r"\b20\d\d-\d\d-\d\d", caught.value.message)) == 2, "dates of the archive and of the pickle"
    assert {"--version 2.0", "--output new", "--force"} <= set(re.findall(r"--[a-z]+(?: 2.0| new)?", caught.value.fix))
    assert (store / "model.mar").read_bytes() == before
    export_learner(tmp_path / "other.pkl", Options("model", version="2.0", output=tmp_path / "new"))
    assert (store / "model.mar").read_bytes() == before
    export_learner(tmp_path / "other.pkl", Options("model", output=store, force=True))
    assert Predictor.open(store / "model.mar").spec.targets == ("label",)
    assert (store / "model.mar").read_bytes() != before


def test_replacing_another_file_needs_force(learner: Path, tmp_path: Path) -> None:
    (tmp_path / "model.mar").write_bytes(b"not an archive")
    with raises(ArchiveExists, "another_file_exists"):
        export_learner(learner, Options("model", output=tmp_path))
    assert (tmp_path / "model.mar").read_bytes() == b"not an archive"
    export_learner(learner, Options("model", output=tmp_path, force=True))


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x", "a b", "é", "x" * 0])
def test_name_that_is_invalid_in_urls_is_refused(learner: Path, tmp_path: Path, name: str) -> None:
    with raises(ExportError, "invalid_name"):
        export_learner(learner, Options(name, output=tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("proc", [MyProc, MyNormalize])
def test_unknown_procs_and_subclasses_are_refused(proc: type, tmp_path: Path) -> None:
    with raises(UnsupportedTransform) as caught:
        export_case(Case(procs=[Categorify, FillMissing, proc]), tmp_path)
    assert re.fullmatch(r"dls\.procs\[\d\]", caught.value.where)
    assert caught.value.path.endswith(f".{proc.__name__}")
    assert not list(tmp_path.glob("*.mar"))


def test_callbacks_that_may_change_answers_are_refused_unless_ignored(tmp_path: Path) -> None:
    with raises(UnsupportedLearner, "callback_may_change_answers", "Changer") as caught:
        export_case(Case(learner={"cbs": [Changer()]}), tmp_path)
    assert "--ignore-callback Changer" in caught.value.fix
    result = export_case(Case(learner={"cbs": [Changer()]}), tmp_path, ignored_callbacks=["Changer"])
    assert any("Changer" in dropped["what"] for dropped in result.spec.dropped)


def test_layers_outside_the_allow_list_are_refused(tmp_path: Path) -> None:
    class Mine(torch.nn.Module):
        def forward(self, x: Any) -> Any:
            return x

    learn, _ = make_learner(Case())
    learn.model.layers.append(Mine())
    learn.export(tmp_path / "learner.pkl")
    with raises(UnsupportedModule) as caught:
        export_learner(tmp_path / "learner.pkl", Options("model", output=tmp_path))
    assert caught.value.where == "model.layers.3"
    assert caught.value.path.endswith(".Mine")


def test_replaced_forward_is_refused(tmp_path: Path) -> None:
    learn, _ = make_learner(Case())
    learn.model.layers[0].forward = torch.relu
    learn.export(tmp_path / "learner.pkl")
    with raises(UnsupportedModule, "forward_replaced"):
        export_learner(tmp_path / "learner.pkl", Options("model", output=tmp_path))


def test_loss_without_activation_returns_raw_outputs_with_notice(tmp_path: Path) -> None:
    case = Case(y="kind", learner={"loss_func": torch.nn.functional.cross_entropy})
    learn, df = make_learner(Case(y="kind"))
    learn.loss_func = torch.nn.CrossEntropyLoss()
    learn.export(tmp_path / "learner.pkl")
    raw = export_learner(tmp_path / "learner.pkl", Options("raw", output=tmp_path))
    assert [notice["code"] for notice in raw.spec.notices] == ["raw_outputs"]
    softmax = export_learner(tmp_path / "learner.pkl", Options("softmax", output=tmp_path, activation="softmax"))
    record = df.loc[0, [*case.cats, *case.conts]].to_dict()
    [outputs], [answer] = Predictor.open(raw.path).predict([record]), Predictor.open(softmax.path).predict([record])
    expected = torch.softmax(torch.tensor(outputs["prediction"]), 0).tolist()
    assert list(answer["probabilities"].values()) == pytest.approx(expected, abs=1e-6)


def test_float_and_bool_categories_have_notices(tmp_path: Path) -> None:
    result = export_case(CASES["float categories"], tmp_path)
    assert [(n["field"], n["code"]) for n in result.spec.notices] == [("share", "float_categories")]
    assert "0.1" in result.spec.notices[0]["message"]
    result = export_case(CASES["bool categories"], tmp_path)
    assert [(n["field"], n["code"]) for n in result.spec.notices] == [("flag", "bool_categories")]


def test_flags_of_fill_missing_are_not_fields(exported: ExportResult) -> None:
    assert [f.name for f in exported.spec.fields] == ["color", "size", "age", "weight"]
    assert {f.name for f in exported.spec.fields if f.kind == "number" and f.nullable} == {"age", "weight"}


def test_record_may_contain_the_date_instead_of_its_parts(tmp_path: Path) -> None:
    case = CASES["date taken apart"]
    result = export_case(case, tmp_path)
    predictor = Predictor.open(result.path)
    with_parts = dated(table())
    for row in range(0, 60, 7):
        parts = {name: with_parts[name].iloc[row].item() for name in [*case.cats[1:], *case.conts]}
        whole = {"saledate": str(table()["when"].iloc[row].date())}
        size = {"size": with_parts["size"].iloc[row]}
        assert predictor.predict([size | whole]) == predictor.predict([size | parts])
    [absent, null] = predictor.predict([{"size": "S"}, {"size": "S", "saledate": None}])
    assert absent["error"]["field"] == null["error"]["field"] == "saledate"
    field = next(f for f in result.spec.fields if f.name == "saledate")
    assert not field.nullable
    assert table()["when"].min() < pd.Timestamp(field.default) < table()["when"].max()
    first = BundleFiles(result.path).json("golden/answers.json")[0]
    assert first["warnings"] == []  # documentation shows this record as an example


def test_reference_table_sets_defaults_and_ranges(learner: Path, tmp_path: Path) -> None:
    frame = pd.DataFrame({"color": ["red", "red", "white"], "age": [30, 41, 77], "weight": [50.5, None, 123.456]})
    frame.to_csv(tmp_path / "reference.csv", index=False)
    result = export_learner(learner, Options("model", output=tmp_path, reference=tmp_path / "reference.csv"))
    fields = {f.name: f for f in result.spec.fields}
    assert (fields["color"].default, fields["age"].default) == ("red", 41)
    assert (fields["weight"].minimum, fields["weight"].maximum) == (50.5, 123.456)
    notice = result.spec.notices[-1]
    assert notice["code"] == "no_profile"
    [missing] = {f.name for f in result.spec.fields} - set(frame)
    assert repr(missing) in notice["message"]


def test_network_with_nan_weights_is_refused(tmp_path: Path) -> None:
    learn, _ = make_learner(Case())
    learn.model.layers[0][0].weight.data[0, 0] = float("nan")
    learn.export(tmp_path / "learner.pkl")
    with raises(ExportError, "outputs_not_finite"):
        export_learner(tmp_path / "learner.pkl", Options("model", output=tmp_path))


def test_saved_weights_are_not_a_learner(tmp_path: Path) -> None:
    torch.save({"model": 1, "opt": 2}, tmp_path / "weights.pth")
    with raises(NotALearner, "saved_weights"):
        export_learner(tmp_path / "weights.pth", Options("model", output=tmp_path))


def test_pickle_and_cloudpickle_give_the_same_spec(tmp_path: Path) -> None:
    learn, _ = make_learner(Case())
    learn.export(tmp_path / "cloud.pkl")
    learn.export(tmp_path / "plain.pkl", pickle_module=pickle)
    specs = [export_learner(tmp_path / f"{how}.pkl", Options(how, output=tmp_path)).spec for how in ("cloud", "plain")]
    assert specs[0].steps == specs[1].steps
    assert specs[0].fields == specs[1].fields
