"""Fixes of errors: after doing what the fix says, the learner is no longer refused."""

from __future__ import annotations

import copy
import functools
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from fastai.callback.core import Callback
from fastai.data.block import RegressionBlock
from fastai.learner import Learner
from fastai.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat, MSELossFlat
from fastai.tabular.all import FillMissing, Normalize, TabularDataLoaders, TabularLearner, TabularModel
from fastai.vision.augment import Resize
from fastai.vision.core import PILImage
from fastai.vision.data import MaskBlock, PointBlock

from fastmar_export import exporter, network_export
from fastmar_export.errors import ExportError
from fastmar_export.exporter import Options, export_learner
from tests.export.pictures import Config, dls_of, mask_of
from tests.export.tables import CASES, PROCS, Case, make_learner
from tests.export.tables import table as data


class NotRefused(Exception):
    """The export reached the comparison of graph and network."""


@pytest.fixture(autouse=True)
def without_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the network instead of its ONNX graph, whose export takes seconds and has no errors in these tests."""

    def run(network: Any, samples: Any, positions: tuple[str, ...], *_: Any) -> tuple[Any, npt.NDArray[np.float32]]:
        with torch.no_grad():
            output = network(*(torch.from_numpy(samples[name]) if name in samples else None for name in positions))
        return SimpleNamespace(inputs=(), outputs=(), model=b""), output.numpy()

    def verify(*_: Any) -> Any:
        raise NotRefused

    monkeypatch.setattr(network_export, "export_graph", run)
    monkeypatch.setattr(network_export, "optimized", lambda graph, *_: graph)
    monkeypatch.setattr(exporter, "verify", verify)


def refusal_of(learn: Any, folder: Path, **options: Any) -> ExportError | None:
    """The error that stops the export of `learn`, or None."""

    learn.export(folder / "learner.pkl")
    try:
        export_learner(folder / "learner.pkl", Options("model", output=folder, **options))
    except ExportError as error:
        return error
    except NotRefused:
        return None
    raise AssertionError("the export was not stopped")


@functools.cache
def trained(y: str = "label") -> Any:
    block = {"y_block": RegressionBlock()} if y == "price" else {}
    return make_learner(Case(y=y, loaders=block))[0]


def table(y: str = "label", **changes: Any) -> Any:
    """A copy of a tabular learner with changed attributes."""
    learn = copy.deepcopy(trained(y))
    for name, value in changes.items():
        setattr(learn, name, value)
    return learn


@functools.cache
def _loaders(kind: str, folder: Path) -> Any:
    blocks = {
        "mask": (MaskBlock(codes=["a", "b", "c"]), mask_of),
        "points": (PointBlock, lambda path: torch.tensor([[10.0, 20.0]])),
    }
    return dls_of(Config([Resize(32)]), folder, *blocks[kind])


def pictures(kind: str, outputs: int, loss: Any, folder: Path) -> Any:
    flat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, outputs))
    return Learner(_loaders(kind, folder), torch.nn.Conv2d(3, outputs, 1) if kind == "mask" else flat, loss_func=loss)


class Changes(Callback):
    def after_pred(self) -> None:
        self.learn.pred = self.pred * 2


class OwnLearner(TabularLearner):
    pass


class OwnLoaders(TabularDataLoaders):
    pass


class OwnLoss(torch.nn.Module):
    def forward(self, x: Any, y: Any) -> Any:
        return (x.exp() - y * x).mean()

    def activation(self, x: Any) -> Any:
        return x.exp()


def of_class(learn: Any, learner: type = TabularLearner, loaders: type = TabularDataLoaders) -> Any:
    learn.__class__, learn.dls.__class__ = learner, loaders
    return learn


def normalize(learn: Any) -> Any:
    return next(proc for proc in learn.dls.valid.dataset.procs.fs if isinstance(proc, Normalize))


def with_proc(**changes: Any) -> Any:
    learn = table()
    vars(normalize(learn)).update(changes)
    return learn


def executed(learn: Any, fix: str) -> Any:
    """`learn` after running the Python statement in a fix."""
    [statement] = re.findall(r"(?:del )?learn\.\S+(?:\([^)]*\))?(?: = [^ ,]+)?(?=,| \()", fix)
    exec(statement, {"learn": learn})
    return learn


def without_categorify() -> Any:
    """A learner made without `tabular_learner`, which refuses such a table."""
    df = data()[["digit", "age", "label"]]
    procs = [FillMissing, Normalize]
    dls = TabularDataLoaders.from_df(df, procs=procs, cat_names=["digit"], cont_names=["age"], y_names="label", bs=32)
    return TabularLearner(dls, TabularModel([(10, 3)], 1, 2, [10]), loss_func=CrossEntropyLossFlat())


def with_layer(change: Callable[[Any], Any]) -> Any:
    learn = table()
    change(learn.model.layers[0][0])
    return learn


Attempt = tuple[Any, dict[str, Any]]


@dataclass(frozen=True)
class Fix:
    """An error and its fix.

    Attributes:
        refused: makes the refused learner, and the options of its export.
        fix: pattern of the facts in the fix: options, classes, statements.
        fixed: makes the fixed learner and options from the refused learner and the fix.
    """

    refused: Callable[[Path], Attempt]
    fix: str
    fixed: Callable[[Path, Any, str], Attempt]


def retrained(case: Case) -> Callable[[Path, Any, str], Attempt]:
    return lambda folder, learn, fix: (make_learner(case)[0], {})


def with_options(**options: Any) -> Callable[[Path, Any, str], Attempt]:
    return lambda folder, learn, fix: (learn, options)


def statement(folder: Path, learn: Any, fix: str) -> Attempt:
    return executed(learn, fix), {}


def attempt(make: Callable[[], Any], **options: Any) -> Callable[[Path], Attempt]:
    return lambda folder: (make(), options)


def picture(kind: str, outputs: int, loss: Any, **options: Any) -> Callable[[Path], Attempt]:
    return lambda folder: (pictures(kind, outputs, loss, folder), options)


def picture_again(kind: str, outputs: int, loss: Any) -> Callable[[Path, Any, str], Attempt]:
    return lambda folder, learn, fix: (pictures(kind, outputs, loss, folder), {})


FIXES = {
    "callback, ignored": Fix(
        attempt(lambda: table(cbs=[*trained().cbs, Changes()])),
        "export with --ignore-callback Changes",
        with_options(ignored_callbacks=["Changes"]),
    ),
    "callback, removed": Fix(
        attempt(lambda: table(cbs=[*trained().cbs, Changes()])),
        "remove",
        lambda folder, learn, fix: (table(), {}),
    ),
    "no such callback": Fix(
        attempt(table, ignored_callbacks=["Nobody"]),
        "Recorder",
        with_options(ignored_callbacks=["Recorder"]),
    ),
    "class of the learner": Fix(
        attempt(lambda: of_class(table(), learner=OwnLearner)),
        "Learner.*DataLoaders",
        lambda folder, learn, fix: (TabularLearner(learn.dls, learn.model, learn.loss_func), {}),
    ),
    "class of the loaders": Fix(
        attempt(lambda: of_class(table(), loaders=OwnLoaders)),
        "Learner.*DataLoaders",
        lambda folder, learn, fix: (of_class(learn), {}),
    ),
    "method of the loss": Fix(
        attempt(lambda: table(loss_func=_with(CrossEntropyLossFlat(), decodes=lambda x: x))),
        "original loss",
        lambda folder, learn, fix: (table(loss_func=CrossEntropyLossFlat()), {}),
    ),
    "axis of the loss": Fix(
        attempt(lambda: table(loss_func=CrossEntropyLossFlat(axis=0))),
        r"set learn\.loss_func\.axis = -1 ",
        statement,
    ),
    "another activation": Fix(
        attempt(lambda: table(loss_func=CrossEntropyLossFlat()), activation="sigmoid"),
        "remove --activation",
        with_options(),
    ),
    "unknown activation": Fix(
        attempt(lambda: table("price", loss_func=OwnLoss())),
        r"--activation \(softmax, sigmoid or identity\)",
        with_options(activation="identity"),
    ),
    "softmax of numbers": Fix(
        attempt(lambda: table("price", loss_func=OwnLoss()), activation="softmax"),
        "export with --activation identity",
        with_options(activation="identity"),
    ),
    "loss of labels for numbers": Fix(
        attempt(lambda: table("price", loss_func=CrossEntropyLossFlat())),
        "such as MSELossFlat",
        lambda folder, learn, fix: (table("price", loss_func=MSELossFlat()), {}),
    ),
    "proc of one split": Fix(
        attempt(lambda: with_proc(split_idx=0)), r"proc\.split_idx = None", lambda folder, learn, fix: (with_proc(), {})
    ),
    "code of a proc": Fix(
        attempt(lambda: with_proc(encodes=print)), r"del proc\.encodes", lambda folder, learn, fix: (with_proc(), {})
    ),
    "no Categorify": Fix(
        attempt(without_categorify),
        r"procs=\[Categorify, FillMissing, Normalize\]",
        retrained(Case(cats=["digit"], procs=list(PROCS))),
    ),
    "no Categorify, column of numbers": Fix(
        attempt(without_categorify),
        "cont_names",
        retrained(Case(cats=[], conts=["age", "weight", "digit"], procs=[FillMissing, Normalize])),
    ),
    "thresholds": Fix(
        attempt(lambda: _labels(torch.tensor([0.2, 0.9]))),
        r"learn\.loss_func\.thresh",
        lambda folder, learn, fix: (_labels(torch.tensor([0.2, 0.9, 0.5])), {}),
    ),
    "forward of a layer": Fix(
        attempt(lambda: with_layer(lambda layer: setattr(layer, "forward", torch.relu))),
        r"del learn\.model\.get_submodule\('layers\.0\.0'\)\.forward",
        statement,
    ),
    "hook of a layer": Fix(
        attempt(lambda: with_layer(lambda layer: layer.register_forward_hook(print))),
        r"learn\.model\.get_submodule\('layers\.0\.0'\)\._forward_hooks\.clear\(\)",
        statement,
    ),
    "layer that can be imported": Fix(
        attempt(lambda: _with_module("their_package")),
        "export with --module their_package",
        with_options(modules=["their_package"]),
    ),
    "mask without activation": Fix(
        picture("mask", 3, torch.nn.functional.cross_entropy),
        r"^export with --activation softmax\.$",
        with_options(activation="softmax"),
    ),
    "mask of one class without activation": Fix(
        picture("mask", 1, torch.nn.functional.binary_cross_entropy_with_logits),
        r"^export with --activation sigmoid\.$",
        with_options(activation="sigmoid"),
    ),
    "axis of a mask's loss": Fix(
        picture("mask", 3, CrossEntropyLossFlat()),
        r"^export with --activation softmax\.$",
        with_options(activation="softmax"),
    ),
    "mask with a loss of numbers": Fix(
        picture("mask", 3, MSELossFlat()),
        r"train with CrossEntropyLossFlat\(axis=1\)",
        picture_again("mask", 3, CrossEntropyLossFlat(axis=1)),
    ),
    "mask of one class with a loss of several": Fix(
        picture("mask", 1, CrossEntropyLossFlat(axis=1)),
        "train with BCEWithLogitsLossFlat",
        picture_again("mask", 1, BCEWithLogitsLossFlat()),
    ),
    "mask with another activation": Fix(
        picture("mask", 3, torch.nn.functional.cross_entropy, activation="sigmoid"),
        r"^export with --activation softmax\.$",
        with_options(activation="softmax"),
    ),
    "points with an activation": Fix(
        picture("points", 2, OwnLoss(), activation="sigmoid"),
        "MSELossFlat.*without --activation",
        picture_again("points", 2, MSELossFlat()),
    ),
    "size that the learner knows": Fix(
        picture("points", 2, MSELossFlat(), picture_size=(64, 64)), "remove --picture-size", with_options()
    ),
    "limit that the learner does not need": Fix(
        picture("points", 2, MSELossFlat(), max_pixels=10_000), "remove --max-pixels", with_options()
    ),
    "limit for a table": Fix(attempt(table, max_pixels=10_000), "remove --max-pixels", with_options()),
    "version": Fix(attempt(table, version="first"), r"1\.0", with_options(version="1.0")),
}


def _with(thing: Any, **attributes: Any) -> Any:
    vars(thing).update(attributes)
    return thing


@functools.cache
def _several_labels() -> Any:
    return make_learner(CASES["several labels"])[0]


def _labels(threshold: torch.Tensor) -> Any:
    learn = copy.deepcopy(_several_labels())
    learn.loss_func = BCEWithLogitsLossFlat(thresh=threshold)
    return learn


def _with_module(package: str) -> Any:
    learn = table()
    learn.model.layers.append(sys.modules[package].Same())
    return learn


@pytest.fixture(autouse=True)
def _their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of the user that can be imported."""
    module: Any = ModuleType("their_package")
    module.Same = type("Same", (torch.nn.Identity,), {"__module__": "their_package"})
    monkeypatch.setitem(sys.modules, "their_package", module)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@pytest.mark.parametrize("name", FIXES)
def test_fixed_learner_is_not_refused(name: str, folder: Path, tmp_path: Path) -> None:
    case = FIXES[name]
    learn, options = case.refused(folder)
    refusal = refusal_of(learn, tmp_path, **options)
    assert refusal is not None
    assert re.search(case.fix, refusal.fix), refusal
    learn, options = case.fixed(folder, learn, refusal.fix)
    assert refusal_of(learn, tmp_path, **options) is None


def test_fix_for_a_custom_picture_class(tmp_path: Path) -> None:
    class Own(PILImage):
        pass

    refusal = refusal_of(_opened_by(Own, tmp_path), tmp_path)
    assert refusal is not None
    assert "ImageBlock(PILImage)" in refusal.fix
    assert refusal_of(_opened_by(PILImage, tmp_path), tmp_path) is None


def _opened_by(cls: type, folder: Path) -> Any:
    dls = dls_of(Config([Resize(32)], cls=cls), folder / "pictures")
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, len(dls.vocab)))
    return Learner(dls, network, loss_func=CrossEntropyLossFlat())
