"""Callbacks of a learner: which of them may change an answer, so that an archive can't leave them out."""

from __future__ import annotations

from typing import Any

from fastmar_export.class_members import defined_members
from fastmar_export.errors import UnsupportedLearner
from fastmar_export.extensions import harmless_callbacks
from fastmar_export.learner import Learner, as_list, name_of
from fastmar_export.reader import Record

BASE = "fastai.callback.core.Callback"

# fastai's callbacks of versions 2.0 to 2.8 that only train, log or save, by module. MCDropoutCallback is missing on
# purpose: it makes answers random.
_HARMLESS = {
    "fastai.callback.azureml": ["AzureMLCallback"],
    "fastai.callback.channelslast": ["ChannelsLast"],
    "fastai.callback.comet": ["CometCallback"],
    "fastai.callback.core": ["TrainEvalCallback", "GatherPredsCallback", "FetchPredsCallback"],
    "fastai.callback.data": ["CollectDataCallback"],
    "fastai.callback.fp16": ["MixedPrecision", "NativeMixedPrecision", "NonNativeMixedPrecision", "ModelToHalf"],
    "fastai.callback.hook": ["ActivationStats", "HookCallback"],
    "fastai.callback.mixup": ["CutMix", "MixHandler", "MixUp"],
    "fastai.callback.neptune": ["NeptuneCallback"],
    "fastai.callback.progress": ["CSVLogger", "ProgressCallback", "ShowGraphCallback"],
    "fastai.callback.rnn": ["ModelResetter", "RNNCallback", "RNNRegularizer"],
    "fastai.callback.schedule": ["LRFinder", "ParamScheduler"],
    "fastai.callback.tensorboard": ["TensorBoardCallback", "TensorBoardProjectorCallback"],
    "fastai.callback.tracker": [
        *["EarlyStoppingCallback", "ReduceLROnPlateau", "SaveModelCallback"],
        *["TerminateOnNaNCallback", "TrackerCallback"],
    ],
    "fastai.callback.training": ["BnFreeze", "GradientAccumulation", "GradientClip", "ShortEpochCallback"],
    "fastai.callback.wandb": ["WandbCallback"],
    "fastai.learner": ["CastToTensor", "Recorder"],
}
HARMLESS = frozenset(f"{module}.{name}" for module, names in _HARMLESS.items() for name in names)

# Events of `learn.predict` in which a callback can change an input or an output.
EVENTS = frozenset(["before_validate", "before_batch", "after_pred", "after_loss", "after_batch", "after_validate"])


def check_callbacks(learner: Learner, ignored: list[str]) -> list[dict[str, str]]:
    """The callbacks that the archive leaves out, with the reasons.

    Raises:
        UnsupportedLearner: a callback may change answers, and is not in `ignored`.
    """
    dropped = []
    harmless = HARMLESS | harmless_callbacks()
    callbacks = as_list(learner.record.get("cbs"))
    names = {name for path in map(name_of, callbacks) for name in (path, path.rpartition(".")[2])}
    if unknown := [name for name in ignored if name not in names]:
        own = ", ".join(sorted(name_of(callback).rpartition(".")[2] for callback in callbacks))
        fix = f"use one of the learner's callbacks: {own}." if own else "remove --ignore-callback."
        raise UnsupportedLearner(
            f"--ignore-callback names {unknown[0]}, which is not a callback of the learner.",
            fix=fix,
            code="unknown_callback",
        )
    for index, callback in enumerate(callbacks):
        path = name_of(callback)
        if path in ignored or path.rpartition(".")[2] in ignored:
            reason = "ignored with --ignore-callback"
        elif path in harmless and not _has_instance_events(callback):
            reason = "trains, logs or saves; it does not change answers"
        elif _has_no_events(callback):
            reason = "its code handles no event between a record and its answer"
        else:
            raise UnsupportedLearner(
                f"learn.cbs[{index}] is {path}, which may change inputs or outputs when the learner predicts.",
                fix=f"export with --ignore-callback {path.rpartition('.')[2]} if it only trains or logs, "
                "or remove it from the learner.",
                code="callback_may_change_answers",
            )
        dropped.append({"what": f"learn.cbs[{index}]: {path}", "reason": reason})
    return dropped


def _has_instance_events(callback: Any) -> bool:
    """Whether an event is an attribute of the instance, as in ``Callback(after_pred=f)``."""
    return isinstance(callback, Record) and bool(EVENTS & callback.attrs.keys())


def _has_no_events(callback: Any) -> bool:
    """Whether the callback's class and bases are pickled by value, and none of their methods is one of `EVENTS`."""
    members = defined_members(callback, known={BASE, *HARMLESS})
    if members is None or _has_instance_events(callback):
        return False
    return not members & (EVENTS | {"__call__", "__getattr__", "__getattribute__", "__init_subclass__"})
