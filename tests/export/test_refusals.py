"""Learners that an archive can't reproduce: the export refuses them, or adds a notice."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from fastai.callback.preds import MCDropoutCallback
from fastai.data.block import CategoryBlock, MultiCategoryBlock, RegressionBlock
from fastai.data.core import Datasets
from fastai.data.transforms import Categorize
from fastai.learner import Learner
from fastai.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat, MSELossFlat
from fastai.tabular.all import TabularDataLoaders, TabularLearner

from fastmar_export.errors import UnsupportedLearner, UnsupportedLoss, UnsupportedModule, UnsupportedTransform
from fastmar_export.exporter import ExportResult, Options, export_learner
from fastmar_export.inspection import inspect_pickle
from fastmar_runtime.predictor import Predictor
from tests.export.errors import raises
from tests.export.tables import CASES, Case, make_learner


def export(learn: Any, folder: Path, **options: Any) -> ExportResult:
    learn.export(folder / "learner.pkl")
    return export_learner(folder / "learner.pkl", Options("model", output=folder, force=True, **options))


@pytest.fixture
def learn() -> Any:
    learn, _ = make_learner(Case())
    learn.loss_func = CrossEntropyLossFlat()  # a new one, because fastai's blocks share one between all learners
    return learn


@pytest.mark.parametrize("threshold", [0.9, np.float32(0.9), torch.tensor(0.9), torch.tensor([0.9])])
def test_threshold_of_any_number_type_is_exported(threshold: Any, tmp_path: Path) -> None:
    case = CASES["several labels"]
    learn, df = make_learner(case)
    learn.loss_func = BCEWithLogitsLossFlat(thresh=threshold)
    predictor = Predictor.open(export(learn, tmp_path).path)
    assert predictor.spec.decode["threshold"] == pytest.approx(0.9, abs=1e-6)
    row = df.loc[0, [*case.cats, *case.conts]]
    with learn.no_bar(), learn.no_logging():
        _, decoded, _ = learn.predict(row)
    [answer] = predictor.predict([row.to_dict()])
    assert answer["prediction"] == [name for name, on in zip(case.y, decoded.tolist(), strict=True) if on]


def test_case_bce_thresh_tensor(tmp_path: Path) -> None:
    case = CASES["several labels"]
    learn, df = make_learner(case)
    rows = [df.loc[i, [*case.cats, *case.conts]] for i in range(0, 60, 3)]
    with learn.no_bar(), learn.no_logging():
        middle = torch.stack([learn.predict(row)[2] for row in rows]).median(0).values
        learn.loss_func = BCEWithLogitsLossFlat(thresh=middle)
        theirs = [learn.predict(row)[1].tolist() for row in rows]
    predictor = Predictor.open(export(learn, tmp_path).path)
    assert predictor.spec.decode["threshold"] == middle.tolist()
    for row, decoded in zip(rows, theirs, strict=True):
        [answer] = predictor.predict([row.to_dict()])
        near = [abs(p - t) < 1e-6 for p, t in zip(answer["probabilities"].values(), middle.tolist(), strict=True)]
        for name, on, close in zip(case.y, decoded, near, strict=True):
            assert close or (name in answer["prediction"]) == on
    assert len({tuple(decoded) for decoded in theirs}) > 2


@pytest.mark.parametrize("threshold", [np.array([0.2, 0.9, 0.5]), torch.tensor([0.2, 0.9])])
def test_threshold_that_fastai_cannot_use_is_refused(threshold: Any, tmp_path: Path) -> None:
    learn, _ = make_learner(CASES["several labels"])
    learn.loss_func = BCEWithLogitsLossFlat(thresh=threshold)
    with raises(UnsupportedLoss, "invalid_threshold"):
        export(learn, tmp_path)
    learn.loss_func.thresh = torch.tensor([0.2, 0.9, 0.5])
    export(learn, tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_case_torch_compile(learn: Any, tmp_path: Path) -> None:
    plain = export(learn, tmp_path)
    learn.model.layers[0] = torch.compile(learn.model.layers[0])
    learn.model = torch.compile(learn.model)
    compiled = export(learn, tmp_path)
    assert compiled.source.calls == []
    assert compiled.spec.fields == plain.spec.fields
    inside = inspect_pickle(tmp_path / "learner.pkl")
    assert inside["problems"] == []
    assert inside["network"][0]["class"].endswith("TabularModel")


class Poisson(torch.nn.Module):
    def forward(self, x: Any, y: Any) -> Any:
        return (x.exp() - y * x).mean()

    def activation(self, x: Any) -> Any:
        return x.exp()


class Plain(torch.nn.Module):
    def forward(self, x: Any, y: Any) -> Any:
        return (x - y).abs().mean()


def test_custom_activation_is_refused_unless_one_is_requested(tmp_path: Path) -> None:
    learn, _ = make_learner(Case(y="price", loaders={"y_block": RegressionBlock()}))
    learn.loss_func = Poisson()
    with raises(UnsupportedLoss, "unknown_activation", "Poisson") as caught:
        export(learn, tmp_path)
    assert "--activation" in caught.value.fix
    assert export(learn, tmp_path, activation="identity").spec.decode["activation"] == "identity"


@pytest.mark.parametrize(
    "loss", [Plain(), torch.nn.MSELoss(), torch.nn.functional.mse_loss, lambda x, y: (x - y).sum()]
)
def test_loss_without_activation_does_not_change_values(loss: Any, tmp_path: Path) -> None:
    case = Case(y="price", loaders={"y_block": RegressionBlock()})
    learn, _ = make_learner(case)
    Plain.__module__ = "__main__"  # as in a notebook, so that cloudpickle pickles the class by value
    learn.loss_func = loss
    torch.save(learn, tmp_path / "learner.pkl", pickle_module=__import__("cloudpickle"), pickle_protocol=2)
    spec = export_learner(tmp_path / "learner.pkl", Options("model", output=tmp_path)).spec
    assert spec.decode == {"decoder": "regression", "activation": "identity", "size": 1}


@pytest.mark.parametrize("name", ["activation", "decodes"])
def test_replaced_method_of_a_loss_is_refused(name: str, learn: Any, tmp_path: Path) -> None:
    setattr(learn.loss_func, name, lambda x: x)
    with raises(UnsupportedLoss, "loss_method_replaced", name):
        export(learn, tmp_path)


def test_loss_axis_across_the_batch_is_refused(learn: Any, tmp_path: Path) -> None:
    learn.loss_func = CrossEntropyLossFlat(axis=0)
    with raises(UnsupportedLoss, "loss_axis"):
        export(learn, tmp_path)


class Base(Callback):
    def after_pred(self) -> None:
        self.learn.pred = self.pred * 2


class Child(Base):
    """Inherits the event from its base."""


class AfterLoss(Callback):
    def after_loss(self) -> None:
        self.learn.pred = self.pred * 2


@pytest.mark.parametrize(
    "callback",
    [Callback(after_pred=lambda self: None), Child(), AfterLoss(), MCDropoutCallback()],
    ids=lambda c: c.name,
)
def test_callbacks_that_change_answers_are_refused(callback: Any, learn: Any, tmp_path: Path) -> None:
    learn.add_cb(callback)
    with raises(UnsupportedLearner, "callback_may_change_answers"):
        export(learn, tmp_path)


def test_notebook_callback_without_prediction_events_is_dropped(learn: Any, tmp_path: Path) -> None:
    class Watcher(Callback):
        def after_fit(self) -> None:
            print("done")

    Watcher.__module__ = "__main__"  # as in a notebook, so that cloudpickle pickles the class by value
    learn.add_cb(Watcher())
    dropped = export(learn, tmp_path).spec.dropped
    assert len([entry for entry in dropped if "Watcher" in entry["what"]]) == 1


class MyLearner(TabularLearner):
    pass


class MyLoaders(TabularDataLoaders):
    pass


def test_subclasses_of_learners_and_loaders_are_refused(learn: Any, tmp_path: Path) -> None:
    learn.__class__ = MyLearner
    with raises(UnsupportedLearner, "custom_class", "MyLearner"):
        export(learn, tmp_path)
    learn.__class__ = TabularLearner
    learn.dls.__class__ = MyLoaders
    with raises(UnsupportedLearner, "custom_class", "MyLoaders"):
        export(learn, tmp_path)


def class_of(path: str, monkeypatch: pytest.MonkeyPatch, base: type = object) -> type:
    """A class of a library that is not installed, which is pickled by reference."""
    module_name, _, name = path.rpartition(".")
    parts = module_name.split(".")
    for end in range(1, len(parts) + 1):
        part = ".".join(parts[:end])
        monkeypatch.setitem(sys.modules, part, sys.modules.get(part, ModuleType(part)))
    made = type(name, (base,), {"__module__": module_name})
    setattr(sys.modules[module_name], name, made)
    return made


def foreign_learner(monkeypatch: pytest.MonkeyPatch) -> Learner:
    """A learner as in tsai: fastai's Learner with other loaders, datasets and layers."""
    learn = Learner.__new__(Learner)
    dls = class_of("tsai.data.core.TSDataLoaders", monkeypatch)()
    loader = class_of("tsai.data.core.TSDataLoader", monkeypatch)()
    loader.dataset = class_of("tsai.data.core.TSDatasets", monkeypatch)()
    dls.loaders = [loader, loader]
    gap, conv = (class_of(f"tsai.models.layers.{name}", monkeypatch, torch.nn.Module) for name in ("Gap", "Conv"))
    layers = [gap(), conv(), gap()]
    learn.__dict__ |= {"dls": dls, "model": torch.nn.Sequential(*layers, torch.nn.Linear(1, 1)), "cbs": []}
    learn.__dict__ |= {"loss_func": CrossEntropyLossFlat()}
    return learn


def test_learner_of_another_library_is_refused_with_its_data_and_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "learner.pkl"
    torch.save(foreign_learner(monkeypatch), path, pickle_protocol=2)
    for options in ({}, {"picture_size": (28, 28)}):
        names = ["data.core.TSDatasets", "data.core.TSDataLoaders", "models.layers.Gap, tsai.models.layers.Conv"]
        with raises(UnsupportedLearner, "unknown_modality", *(f"tsai.{name}" for name in names)):
            export_learner(path, Options("model", output=tmp_path, **options))
    problems = inspect_pickle(path)["problems"]
    assert sum("tsai.data.core.TSDatasets" in problem for problem in problems) == 1
    assert sum("tsai.data.core.TSDataLoaders" in problem for problem in problems) == 1, "no second error about classes"


class Create:
    @classmethod
    def create(cls, _: int) -> torch.Tensor:
        return torch.zeros(2)


def test_inputs_of_another_picture_class_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    audio: Any = class_of("fastaudio.core.signal.AudioTensor", monkeypatch, Create)
    sets = Datasets(list(range(4)), tfms=[[audio.create], [Categorize]], splits=[[0, 1], [2, 3]])
    learn = Learner(sets.dataloaders(bs=2, num_workers=0), torch.nn.Linear(1, 1), loss_func=CrossEntropyLossFlat())
    torch.save(learn, tmp_path / "learner.pkl", pickle_protocol=2)
    with raises(UnsupportedTransform, "unsupported_picture_class") as caught:
        export_learner(tmp_path / "learner.pkl", Options("model", output=tmp_path))
    assert caught.value.path == "fastaudio.core.signal.AudioTensor.create"


def test_proc_for_one_split_is_refused(learn: Any, tmp_path: Path) -> None:
    for proc in learn.dls.valid.dataset.procs.fs:
        if type(proc).__name__ == "Normalize":
            proc.split_idx = 0
    with raises(UnsupportedTransform, "instance_attribute"):
        export(learn, tmp_path)


def test_target_among_the_inputs_is_refused(tmp_path: Path) -> None:
    df = pd.DataFrame({"color": list("abcd") * 20, "label": ["y", "n"] * 40, "x": np.arange(80.0)})
    dls = TabularDataLoaders.from_df(
        df, procs=CASES["two classes"].procs, cat_names=["color", "label"], cont_names=["x"], y_names="label", bs=16
    )
    learn = TabularLearner(dls, make_learner(Case())[0].model, loss_func=CrossEntropyLossFlat())
    with raises(UnsupportedLearner, "target_is_input", "label"):
        export(learn, tmp_path)


def test_batch_norm_without_running_statistics_is_refused(learn: Any, tmp_path: Path) -> None:
    norm = learn.model.bn_cont
    norm.track_running_stats, norm.running_mean, norm.running_var, norm.num_batches_tracked = False, None, None, None
    with raises(UnsupportedModule, "no_running_statistics") as caught:
        export(learn, tmp_path)
    assert caught.value.where == "model.bn_cont"


def test_missing_threshold_and_unusual_activation_have_notices(tmp_path: Path) -> None:
    labels = ["t1", "t2", "t3"]
    block = MultiCategoryBlock(encoded=True, vocab=labels)
    learn, _ = make_learner(Case(y=labels, loaders={"y_block": block}, learner={"loss_func": MSELossFlat()}))
    assert [n["code"] for n in export(learn, tmp_path).spec.notices] == ["threshold_assumed"]
    learn, _ = make_learner(Case(loaders={"y_block": CategoryBlock()}))
    learn.loss_func = BCEWithLogitsLossFlat()
    spec = export(learn, tmp_path).spec
    assert [n["code"] for n in spec.notices] == ["not_softmax"]
    assert (spec.decode["decoder"], spec.decode["activation"]) == ("category", "sigmoid")
