"""Converts the transforms of a text, from its Tokenizer to its ids, to steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fastmar_export.conversion import State
from fastmar_export.converters import convert
from fastmar_export.errors import UnsupportedLearner, UnsupportedTransform
from fastmar_export.learner import as_list, describe_transform, name_of
from fastmar_export.modalities.text.converters.join_texts import join_texts
from fastmar_export.modalities.text.converters.reverse_ids import reverse_ids
from fastmar_export.modalities.text.domains import TEXT, TOKENIZER
from fastmar_export.reader import path_of
from fastmar_export.wrapped import wrapped_functions

TOKENIZER_CLASS = "fastai.text.core.Tokenizer"
_NOOPS = ({"fastai.imports.noop"}, {"fastcore.imports.noop"})


def text_steps(
    item_transforms: Sequence[Any], where: str, types: Any = (), columns: Sequence[str] = ()
) -> tuple[State, ...]:
    """The states of the steps from a text to its ids.

    Transforms before the Tokenizer find the text in training; `learn.predict` skips them.

    Args:
        item_transforms: records of the transforms of the learner's input, `tls[0].tfms`.
        where: their place, for messages.
        types: the recorded types of the input of each transform, `tls[0].types`, if they are known.
        columns: names of the columns with texts; empty for the recorded ones.

    Raises:
        UnsupportedLearner: there is no Tokenizer or no Numericalize.
        UnsupportedTransform: a transform, rule or tokenizer is not supported.
    """
    at = next((index for index, each in enumerate(item_transforms) if name_of(each) == TOKENIZER_CLASS), None)
    if at is None:
        raise UnsupportedLearner(
            f"{where} has no Tokenizer ({', '.join(map(describe_transform, item_transforms)) or 'nothing'}).",
            fix="make the data with TextDataLoaders or TextBlock, train and export again.",
            code="no_tokenizer",
        )
    for index, read in enumerate(as_list(types)[:at]):
        reads_texts = any(path_of(each) == "builtins.str" for each in as_list(read))
        if reads_texts and wrapped_functions(item_transforms[index]) not in _NOOPS:
            raise UnsupportedTransform(
                f"{where}[{index}]",
                describe_transform(item_transforms[index]),
                why="which changes a text before the Tokenizer, also in learn.predict",
                fix="apply it to the texts before training and before they are sent, and export again.",
                code="text_transform",
            )
    states = tuple(
        state
        for index, transform in enumerate(item_transforms[at:], at)
        for state in _steps(transform, f"{where}[{index}]", columns)
    )
    kinds = [state["step"] for state in states]
    if kinds.count("text_rules") > 1:
        raise UnsupportedLearner(
            f"{where} has more than one Tokenizer.",
            fix="remove all but one, train and export again.",
            code="several_tokenizers",
        )
    if "numericalize" not in kinds:
        raise UnsupportedLearner(
            f"{where} has no Numericalize, so that texts have no ids.",
            fix="make the data with TextDataLoaders or TextBlock, train and export again.",
            code="no_numericalize",
        )
    return states


def _steps(transform: Any, where: str, columns: Sequence[str]) -> Iterator[State]:
    changed: tuple[str, ...] = ("split_idx", "encodes")
    if (state := reverse_ids(transform)) is not None:
        changed = ("split_idx",)  # its encodes is the function
    elif name_of(transform) == TOKENIZER_CLASS:
        if (joined := join_texts(transform, where, columns)) is not None:
            yield joined
        yield convert(transform, where, TEXT, None)
        state = convert(transform.get("tok"), f"{where}.tok", TOKENIZER, None)
    else:
        state = convert(transform, where, TEXT, None)
    _refuse_changed(transform, where, changed)
    yield state


def _refuse_changed(transform: Any, where: str, names: tuple[str, ...]) -> None:
    """Refuse a transform that is skipped in one of the splits, or runs the user's code instead of fastai's."""
    changed = [name for name in names if transform.get(name) is not None]
    if changed:
        raise UnsupportedTransform(
            where,
            name_of(transform),
            why=f"whose {changed[0]} was set on the instance",
            fix="restore fastai's value, and export again.",
            code="instance_attribute",
        )
