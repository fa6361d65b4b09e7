"""Converts text learners: the transforms of the input to steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastmar_contract.values import TEXT
from fastmar_export.conversion import Conversion
from fastmar_export.dropped_transforms import dropped_getter, reason_to_drop
from fastmar_export.errors import ExportError, UnsupportedLearner, UnsupportedTransform
from fastmar_export.learner import Learner, as_list, describe_transform, name_of, transforms
from fastmar_export.modalities.text.pipeline import TOKENIZER_CLASS, text_steps
from fastmar_export.reader import Record
from fastmar_export.targets import TARGET_TRANSFORMS, target_name
from fastmar_runtime.modalities.text.preprocessing import IDS, LENGTHS
from fastmar_runtime.spec import Field, Generator

PADDING = ("fastai.text.data.Pad_Chunk", "fastai.text.data.Pad_Input", "fastai.data.transforms.ToTensor")
"""Transforms of items and batches that only make tensors of the ids."""

_FIELD = "text"
NEXT = "token"
"""Name of a language model's target."""

LANGUAGE_MODELS = ("fastai.text.data.LMDataLoader", "fastai.text.learner.LMLearner")


def convert_text(learner: Learner, text_columns: Sequence[str] = ()) -> Conversion:
    """Steps of a text learner; `text_columns` replace the recorded names of its columns.

    Raises:
        ExportError: the number of names is not that of the columns.
        UnsupportedTransform: a transform has no converter and is needed for inference.
        UnsupportedLearner: the learner has several inputs or targets.
    """
    dropped: list[dict[str, str]] = []
    lists = as_list(learner.dataset.get("tls"))
    _check_learner(learner, lists)
    where = "dls.tls[0].tfms"
    steps = text_steps(learner.input_transforms, where, lists[0].get("types"), text_columns)
    inputs = [name_of(transform) for transform in learner.input_transforms]
    at = inputs.index(TOKENIZER_CLASS)
    names = _columns(learner.input_transforms[at], text_columns)
    for index, transform in enumerate(learner.input_transforms[:at]):
        dropped.append(dropped_getter(f"{where}[{index}]: {describe_transform(transform)}"))
    targets = [transform for part in lists[1:] for transform in transforms(part.get("tfms"))]
    target_transforms = list(_targets(targets, dropped))
    for pipeline in ("after_item", "before_batch", "after_batch"):
        for index, transform in enumerate(transforms(learner.loader.get(pipeline))):
            reason = "pads texts to batches; the runtime does it" if name_of(transform) in PADDING else None
            reason = reason or reason_to_drop(transform)
            if reason is None:
                raise UnsupportedTransform(f"dls.{pipeline}[{index}]", name_of(transform))
            dropped.append({"what": f"dls.{pipeline}[{index}]: {name_of(transform)}", "reason": reason})
    return Conversion(
        fields=tuple(Field(name, TEXT, nullable=False) for name in names),
        steps=steps,
        positions=(IDS, LENGTHS),
        target_transforms=target_transforms,
        targets=(NEXT if is_language_model(learner) else target_name(target_transforms),),
        notices=[],
        dropped=dropped,
        dynamic_axes={IDS: {1: "time"}},
        generator=Generator(str(learner.input_transforms[at].get("sep", " "))) if is_language_model(learner) else None,
    )


def is_language_model(learner: Learner) -> bool:
    """Whether the learner predicts the next token of a text."""
    return bool({learner.loader.path, learner.record.path} & {*LANGUAGE_MODELS})


def _check_learner(learner: Learner, lists: list[Any]) -> None:
    n_inp = learner.input_count
    if n_inp != 1:
        raise UnsupportedLearner(
            f"the learner has {n_inp} inputs; fastmar serves networks with one TextBlock as input.",
            fix="train with one TextBlock; it may read several columns: TextBlock.from_df([...]).",
            code="several_inputs",
        )
    if len(lists) > 2:
        raise UnsupportedLearner(
            f"the learner has {len(lists) - 1} targets for one network; learn.predict fails for it.",
            fix="train one learner for each target, with one target block, and export each.",
            code="several_targets",
        )


def _columns(tokenizer: Record, chosen: Sequence[str]) -> list[str]:
    """Names of the columns with text; `text` if the tokenizer does not record the name of its only one."""
    columns = as_list(tokenizer.get("text_cols"))
    if chosen:
        if len(chosen) != max(1, len(columns)) or len(set(chosen)) != len(chosen):
            raise ExportError(
                f"--text-column names {len(chosen)} columns ({', '.join(chosen):.80}); the learner reads "
                f"{max(1, len(columns))}.",
                fix="pass --text-column once for each column, with distinct names.",
                code="wrong_text_columns",
            )
        return list(chosen)
    return columns if all(isinstance(name, str) for name in columns) and columns else [_FIELD]


def _targets(found: list[Record], dropped: list[dict[str, str]]) -> Iterator[Record]:
    """The targets' transforms that the decoder needs; the others are dropped."""
    for transform in found:
        if name_of(transform) in TARGET_TRANSFORMS:
            yield transform
        else:
            dropped.append(dropped_getter(f"a target's transform: {describe_transform(transform)}"))
