"""What of a learner's record decides an answer: where its parts hang, in any fastai 2."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from fastmar_export.errors import NotALearner, UnsupportedLearner
from fastmar_export.reader import Global, Record, path_of

DATASETS = "fastai.data.core.Datasets"

# Classes that predict as fastai documents it, in every modality. A subclass may compute anything.
_KNOWN = (
    *("fastai.learner.Learner", "fastai.data.core.DataLoaders", "fastai.data.core.TfmdDL"),
    *("fastai.callback.data.WeightedDL", "fastai.callback.data.PartialDL"),
)
_NESTED_LISTS = 8  # an L in an L; a hostile file nests more, or lets one hold itself
_REPLACEABLE = ("predict", "get_preds", "test_dl", "one_batch", "create_batch")


def listed(value: Any) -> list[Any]:
    """The items of a list, tuple, or record of fastcore's L; empty for None."""
    for _ in range(_NESTED_LISTS):
        if not isinstance(value, Record):
            break
        value = list(value.items) or value.get("items")
    if value is None or isinstance(value, Record):
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def transforms(pipeline: Any) -> list[Any]:
    """The transforms of a Pipeline's record, in the order in which they run: fastai stored them sorted."""
    return listed(pipeline.get("fs")) if isinstance(pipeline, Record) else []


@dataclass(frozen=True, slots=True)
class Learner:
    """The parts of a learner that inference needs.

    Attributes:
        record: the learner itself.
        loader: the loader that `learn.predict` takes (`dls.valid`), or the only one.
        dataset: what that loader reads.
        model: record of the network.
        loss: record of the loss, or a `Global` of a function.
    """

    record: Record
    loader: Record
    dataset: Record
    model: Any
    loss: Any

    @property
    def input_transforms(self) -> list[Any]:
        """The transforms that make the inputs of a `Datasets`, in order; empty for other datasets."""
        first = (listed(self.dataset.get("tls")) or [None])[0]
        return transforms(first.get("tfms")) if isinstance(first, Record) else []

    @property
    def reads(self) -> str:
        """The class of the dataset, for messages; of a `Datasets`, also the transforms of its inputs."""
        if self.dataset.path != DATASETS:
            return self.dataset.path
        return f"{self.dataset.path} of {', '.join(map(described, self.input_transforms)) or 'nothing'}"


def open_learner(root: Any) -> Learner:
    """The parts of the learner in `root`, as the reader gave it.

    Raises:
        NotALearner: it is something else, or was saved without its data.
    """
    record = root
    dls = record.get("dls") if isinstance(record, Record) else None
    loaders = listed(dls.get("loaders")) if isinstance(dls, Record) else []
    loader = loaders[1] if len(loaders) > 1 else loaders[0] if loaders else None
    dataset = loader.get("dataset") if isinstance(loader, Record) else None
    if not isinstance(record, Record) or not isinstance(loader, Record) or not isinstance(dataset, Record):
        what = path_of(root.callee) if isinstance(root, Record) else type(root).__name__
        raise NotALearner(
            f"the file holds {what} without the data loaders of an exported learner.",
            fix="write it with `learn.export()`, which stores the transforms beside the network.",
        )
    return Learner(record, loader, dataset, record.get("model"), record.get("loss_func"))


def check_classes(learner: Learner, known: Collection[str]) -> None:
    """Refuse a learner or loaders of a class of the user's, or with a method replaced: they may answer otherwise.

    Args:
        learner: to check.
        known: the modality's classes of learners and loaders.

    Raises:
        UnsupportedLearner: naming it.
    """
    places = {"learn": learner.record, "learn.dls": learner.record.get("dls"), "dls.valid": learner.loader}
    for where, record in places.items():
        replaced = [name for name in _REPLACEABLE if name in record.attrs]
        if replaced or (record.path not in _KNOWN and record.path not in known):
            what = f"{where} is {record.path}" + (f" with its own `{replaced[0]}`" if replaced else "")
            raise UnsupportedLearner(
                f"{what}, which may answer otherwise than fastai's own.",
                fix="put the network and the loss into fastai's own Learner with its own DataLoaders, and export that.",
            )


def described(transform: Any) -> str:
    """The class of a transform, with the name of the function that it wraps."""
    name = transform.get("_name") if isinstance(transform, Record) else None
    return f"{name_of(transform)} ({name:.80})" if isinstance(name, str) else name_of(transform)


def name_of(value: Any) -> str:
    """Path of a record's class or of a `Global`; else the type's name."""
    return value.path if isinstance(value, Record | Global) else type(value).__name__
