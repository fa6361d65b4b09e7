from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastmar_export.reader import Global, Record, bases_of, describe_call, path_of, read_learner_file, walk

BY_VALUE = "tests.export.reader.notebook"


def elements(thing: Any) -> list[Any]:
    """The items of a list or of fastcore's L, which differ between versions of fastai."""
    return thing.get("items") if isinstance(thing, Record) else thing


def load(path: Path) -> object:
    return torch.load(path, weights_only=False)


def test_facts_about_the_file(learners: Path) -> None:
    path = learners / "tabular.pkl"
    file = read_learner_file(path)
    assert file.root.path == "fastai.tabular.learner.TabularLearner"
    assert file.root.is_instance
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert file.size == path.stat().st_size
    assert (file.pickle_protocol, file.archive_version) == (2, "3")
    assert file.globals["fastai.tabular.core.Categorify"] >= 1
    assert "numpy._core.multiarray._reconstruct" in file.globals
    assert not any(path.startswith(("__builtin__", "copy_reg", "numpy.core.")) for path in file.globals)


def test_the_state_of_the_transforms(learners: Path) -> None:
    file = read_learner_file(learners / "tabular.pkl")
    dataset = elements(file.root.get("dls").get("loaders"))[1].get("dataset")
    procs = {proc.path.rpartition(".")[2]: proc for proc in elements(dataset.get("procs").get("fs"))}
    vocab = procs["Categorify"].get("classes")["colour"].get("items")
    assert elements(vocab) == ["#na#", "blue", "red"]
    assert elements(dataset.get("cont_names")) == ["age"]
    mean = procs["Normalize"].get("means")["age"]
    assert isinstance(mean, np.floating)
    assert 0 < mean < 1


def test_weights_equal_those_of_torch_load(learners: Path) -> None:
    for name in ("tabular.pkl", "vision.pkl"):
        read = {
            id(node.thing): node.thing
            for node in walk(read_learner_file(learners / name).root.get("model"))
            if isinstance(node.thing, torch.Tensor)
        }
        loaded = list(load(learners / name).model.state_dict().values())  # type: ignore[attr-defined]
        assert len(read) == len(loaded)
        for tensor in loaded:
            assert any(torch.equal(tensor, mine) for mine in read.values())
        kinds = {isinstance(tensor, torch.nn.Parameter) for tensor in read.values()}
        assert True in kinds


def test_objects_pickled_by_value_have_paths(learners: Path) -> None:
    file = read_learner_file(learners / "tabular.pkl")
    assert path_of(file.root.get("label")) == f"{BY_VALUE}.label"
    assert path_of(file.root.get("get_y")).endswith("<lambda>")
    callback = file.root.get("remember_batches")
    assert callback.path == f"{BY_VALUE}.RememberBatches"
    assert bases_of(callback) == (Global("fastai.callback.core", "Callback"),)
    assert bases_of(callback.callee) == bases_of(callback)
    assert bases_of(file.root) == ()
    assert not any(call in file.functions for call in file.calls)
    lines = [describe_call(call) for call in [*file.calls, *file.functions]]
    assert [(": a function" in line, "(byte " in line) for line in lines if f"{BY_VALUE}.label" in line] == [
        (True, True)
    ]
    of_class = [line for line in lines if f"{BY_VALUE}.RememberBatches" in line]
    assert sum(": a class" in line for line in of_class) == 1
    assert sum(": an object" in line for line in of_class) == 1


def test_objects_pickled_by_reference(learners: Path) -> None:
    file = read_learner_file(learners / "plain.pkl")
    assert file.calls == []
    file = read_learner_file(learners / "leaky.pkl")
    assert [call.path for call in file.calls] == [f"{BY_VALUE}.RememberBatches"]
    file = read_learner_file(learners / "vision.pkl")
    assert f"{BY_VALUE}.parity" in file.globals
    assert not any(call.is_instance for call in file.calls)


def test_bound_methods_have_paths() -> None:
    function = Record(Global("cloudpickle.cloudpickle", "_make_function"), state=({}, {"__qualname__": "f"}))
    method_type = Record(Global("cloudpickle.cloudpickle", "_builtin_type"), ("MethodType",))
    assert path_of(Record(method_type, (function, None))) == "__main__.f"
    assert path_of(Record(Global("builtins", "getattr"), (Global("a", "B"), "c"))) == "a.B.c"
    assert path_of(3) == "?"


def test_only_training_rows_are_leaks(learners: Path) -> None:
    leaks = read_learner_file(learners / "leaky.pkl").leaks
    assert {leak.where: leak.rows for leak in leaks} == {"rows": 40, "remember_batches.batches": 40}
    frame = next(leak for leak in leaks if leak.where == "rows")
    assert frame.columns == ("colour", "age", "sold")
    for fact in ("rows", "40", "pandas DataFrame", "colour, age, sold"):
        assert fact in str(frame)
    for name in ("tabular.pkl", "plain.pkl", "vision.pkl"):
        assert read_learner_file(learners / name).leaks == []


def test_learner_of_the_cookbook(cookbook: Path) -> None:
    file = read_learner_file(cookbook)
    assert len(file.globals) == 62
    assert (file.calls, file.leaks) == ([], [])
    dataset = elements(file.root.get("dls").get("loaders"))[1].get("dataset")
    names = elements(dataset.get("cat_names"))
    assert len(names) == 9
    assert names[-1] == "education-num_na"


def test_reading_imports_no_module_of_the_pickle(learners: Path) -> None:
    code = (
        "import sys; from fastmar_export.reader import read_learner_file; before = set(sys.modules);"
        f"read_learner_file({str(learners / 'tabular.pkl')!r});"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before};"
        "assert not new & {'fastai', 'fastcore', 'pandas', 'cloudpickle', 'tests', 'plum'}, new"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
