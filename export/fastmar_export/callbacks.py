"""Callbacks of a learner: which of them may change an answer, and so can't be left out in silence."""

from __future__ import annotations

from typing import Any

from fastmar_export.errors import UnsupportedLearner
from fastmar_export.extensions import harmless_callbacks
from fastmar_export.learner import Learner, listed, name_of
from fastmar_export.members import written_members
from fastmar_export.reader import Record

BASE = "fastai.callback.core.Callback"

# fastai's own that train, log or save, by module; read off 2.0 to 2.8. Not among them: MCDropoutCallback, which draws
# answers at random, and whatever is unknown.
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

# Moments of `learn.predict` at which a callback can change an input or an output.
EVENTS = frozenset(["before_validate", "before_batch", "after_pred", "after_loss", "after_batch", "after_validate"])


def check_callbacks(learner: Learner, ignored: list[str]) -> list[dict[str, str]]:
    """What is dropped of the learner's callbacks, with the reason.

    Raises:
        UnsupportedLearner: a callback that may change answers, and that the user did not say to ignore.
    """
    dropped = []
    harmless = HARMLESS | harmless_callbacks()
    callbacks = listed(learner.record.get("cbs"))
    names = {name for path in map(name_of, callbacks) for name in (path, path.rpartition(".")[2])}
    if unknown := [name for name in ignored if name not in names]:
        own = ", ".join(sorted(name_of(callback).rpartition(".")[2] for callback in callbacks))
        fix = f"name one of the learner's: {own}." if own else "leave --ignore-callback out."
        raise UnsupportedLearner(f"there is no callback {unknown[0]}.", fix=fix)
    for index, callback in enumerate(callbacks):
        path = name_of(callback)
        if path in ignored or path.rpartition(".")[2] in ignored:
            reason = "ignored, as asked"
        elif path in harmless and not _replaced(callback):
            reason = "trains, logs or saves; it changes no answer"
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


def _replaced(callback: Any) -> bool:
    """Whether an event hangs on the instance: ``Callback(after_pred=f)`` makes such ones."""
    return isinstance(callback, Record) and bool(EVENTS & callback.attrs.keys())


def _is_seen_harmless(callback: Any) -> bool:
    """Whether cloudpickle wrote out the callback's class and its bases, and none of their methods is such an event."""
    members = written_members(callback, known={BASE, *HARMLESS})
    if members is None or _replaced(callback):
        return False
    return not members & (EVENTS | {"__call__", "__getattr__", "__getattribute__", "__init_subclass__"})
