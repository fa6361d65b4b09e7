"""What of a learner's record decides an answer: where its parts hang, in any fastai 2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastmar_export.errors import NotALearner, UnsupportedLearner
from fastmar_export.reader import Global, Record, path_of

# Callbacks of fastai's own that train, log or save: none of them changes what a learner answers. Others are refused by
# name, unless the user says that they may be ignored.
_HARMLESS_CALLBACKS = ("fastai.callback.", "fastai.learner.", "fastai.vision.learner.", "fastai.distributed.")
# Moments of a callback at which it could change an input or an output while `learn.predict` runs.
_ANSWERING_EVENTS = ("before_validate", "before_batch", "after_pred", "after_batch", "after_validate")


def listed(value: Any) -> list[Any]:
    """The items of a list, tuple, or record of fastcore's L; empty for None."""
    if value is None:
        return []
    if isinstance(value, Record):
        if value.items:
            return list(value.items)
        return listed(value.get("items"))
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
    def kind(self) -> str:
        """``"tabular"``, or the class of what it reads."""
        if self.dataset.path in ("fastai.tabular.core.TabularPandas",):
            return "tabular"
        return self.dataset.path


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


def check_callbacks(learner: Learner, ignored: list[str]) -> list[dict[str, str]]:
    """What is dropped of the learner's callbacks, with the reason.

    Raises:
        UnsupportedLearner: a callback that may change answers, and that the user did not say to ignore.
    """
    dropped = []
    for index, callback in enumerate(listed(learner.record.get("cbs"))):
        path = name_of(callback)
        if path.startswith(_HARMLESS_CALLBACKS):
            reason = "trains, logs or saves; it changes no answer"
        elif path in ignored or path.rpartition(".")[2] in ignored:
            reason = "ignored, as asked"
        elif _is_seen_harmless(callback):
            reason = "its code has no event between a record and its answer"
        else:
            raise UnsupportedLearner(
                f"learn.cbs[{index}] is {path}, which may change inputs or outputs while the learner predicts.",
                fix=f"export with --ignore-callback {path.rpartition('.')[2]} if it only trains or logs, "
                "or remove it from the learner.",
            )
        dropped.append({"what": f"learn.cbs[{index}]: {path}", "reason": reason})
    return dropped


def name_of(value: Any) -> str:
    """Path of a record's class or of a `Global`; else the type's name."""
    return value.path if isinstance(value, Record | Global) else type(value).__name__


def _is_seen_harmless(callback: Any) -> bool:
    """Whether cloudpickle wrote the callback's class out, and none of its methods is an event of answering."""
    cls = callback.callee if isinstance(callback, Record) else None
    if not isinstance(cls, Record):
        return False
    methods: set[str] = set()
    for part in cls.state if isinstance(cls.state, tuple) else (cls.state,):
        if isinstance(part, dict):
            methods |= {str(key) for key in part}
    return bool(methods) and not methods & set(_ANSWERING_EVENTS) and not methods & {"__call__", "__getattr__"}
