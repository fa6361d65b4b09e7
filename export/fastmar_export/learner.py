"""Finds the parts of a learner's record that inference needs, for any version of fastai 2."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from fastmar_export.errors import NotALearner, UnsupportedLearner
from fastmar_export.reader import Global, Record, path_of

DATASETS = "fastai.data.core.Datasets"

# Classes of all modalities that predict as fastai documents. A subclass may predict differently.
_KNOWN = (
    *("fastai.learner.Learner", "fastai.data.core.DataLoaders", "fastai.data.core.TfmdDL"),
    *("fastai.callback.data.WeightedDL", "fastai.callback.data.PartialDL"),
)
_NESTED_LISTS = 8  # levels of an L in an L; a hostile file may nest more, or contain a cycle
_REPLACEABLE = ("predict", "get_preds", "test_dl", "one_batch", "create_batch")


def as_list(value: Any) -> list[Any]:
    """The items of a list, a tuple or a record of fastcore's L; a single value as a list; empty for None."""
    for _ in range(_NESTED_LISTS):
        if not isinstance(value, Record):
            break
        value = list(value.items) or value.get("items")
    if value is None or isinstance(value, Record):
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def transforms(pipeline: Any) -> list[Any]:
    """The transforms of a Pipeline's record in the order in which they run; fastai stores them sorted."""
    return as_list(pipeline.get("fs")) if isinstance(pipeline, Record) else []


@dataclass(frozen=True, slots=True)
class Learner:
    """The parts of a learner that inference needs.

    Attributes:
        record: record of the learner.
        loader: the loader that `learn.predict` uses (`dls.valid`), or the only one.
        dataset: the dataset of that loader.
        model: record of the network.
        loss: record of the loss, or the `Global` of a function.
    """

    record: Record
    loader: Record
    dataset: Record
    model: Any
    loss: Any

    @property
    def input_transforms(self) -> list[Any]:
        """The transforms of the inputs of a `Datasets`, in order; empty for other datasets."""
        first = (as_list(self.dataset.get("tls")) or [None])[0]
        return transforms(first.get("tfms")) if isinstance(first, Record) else []

    @property
    def input_count(self) -> int:
        """Number of inputs of the network; 1 if the learner does not record it."""
        count = self.dataset.get("n_inp", self.loader.get("_n_inp", 1))
        return count if isinstance(count, int) else 1

    @property
    def reads(self) -> str:
        """The class of the dataset, for messages; for a `Datasets`, with the transforms of its inputs."""
        if self.dataset.path != DATASETS:
            return self.dataset.path
        return f"{self.dataset.path} of {', '.join(map(describe_transform, self.input_transforms)) or 'nothing'}"


def open_learner(root: Any) -> Learner:
    """The parts of the learner in `root`, the object that the reader returned.

    Raises:
        NotALearner: `root` is not a learner, or has no data loaders.
    """
    record = root
    dls = record.get("dls") if isinstance(record, Record) else None
    loaders = as_list(dls.get("loaders")) if isinstance(dls, Record) else []
    loader = loaders[1] if len(loaders) > 1 else loaders[0] if loaders else None
    dataset = loader.get("dataset") if isinstance(loader, Record) else None
    if not isinstance(record, Record) or not isinstance(loader, Record) or not isinstance(dataset, Record):
        what = path_of(root.callee) if isinstance(root, Record) else type(root).__name__
        raise NotALearner(
            f"the file contains {what} without the data loaders of an exported learner.",
            fix="write the file with `learn.export()`, which stores the transforms with the network.",
        )
    return Learner(record, loader, dataset, record.get("model"), record.get("loss_func"))


def check_classes(learner: Learner, known: Collection[str]) -> None:
    """Refuse a learner or loaders of another class, or with a replaced method, since they may predict differently.

    Args:
        learner: the learner to check.
        known: the modality's classes of learners and loaders.

    Raises:
        UnsupportedLearner: the learner or its loaders are of another class, or have a replaced method.
    """
    places = {"learn": learner.record, "learn.dls": learner.record.get("dls"), "dls.valid": learner.loader}
    for where, record in places.items():
        replaced = [name for name in _REPLACEABLE if name in record.attrs]
        if replaced or (record.path not in _KNOWN and record.path not in known):
            what = f"{where} is {record.path}" + (f" with a replaced `{replaced[0]}`" if replaced else "")
            raise UnsupportedLearner(
                f"{what}, which may predict differently from fastai's classes.",
                fix="put the network and the loss into fastai's Learner with fastai's DataLoaders, and export that.",
                code="custom_class",
            )


def describe_transform(transform: Any) -> str:
    """The class path of a transform, with the name of the function that it wraps."""
    name = transform.get("_name") if isinstance(transform, Record) else None
    return f"{name_of(transform)} ({name:.80})" if isinstance(name, str) else name_of(transform)


def name_of(value: Any) -> str:
    """The class path of a record, the path of a `Global`, or else the name of the type."""
    return value.path if isinstance(value, Record | Global) else type(value).__name__
