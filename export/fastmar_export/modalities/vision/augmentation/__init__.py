"""Test-time augmentation: answers of `learn.tta`, with evenly spread numbers instead of random ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from fastmar_export.conversion import Conversion, Layer, State, model_notice
from fastmar_export.errors import ExportError
from fastmar_export.learner import name_of
from fastmar_export.modalities.vision.augmentation.batch import BATCH_COPIES
from fastmar_export.modalities.vision.augmentation.draws import Draws
from fastmar_export.modalities.vision.converters.copies import STEP, copies
from fastmar_export.networks.augmentation import MergeCopies, PerCopy, StackCopies
from fastmar_export.networks.sampling import Size
from fastmar_export.options import Options

BETA = 0.25  # fastai's default
MAX_COPIES = 64

_MERGED = ("category", "multi_category", "regression", "raw")


def check_augmentation(options: Options) -> None:
    """Check the options of test-time augmentation.

    Raises:
        ExportError: one is invalid.
    """
    if options.tta is None:
        if options.tta_beta is not None or options.tta_use_max is not None:
            raise ExportError(
                "--tta-beta and --tta-use-max need augmented copies.",
                fix="add --tta 4, or another number of copies.",
                code="tta_missing",
            )
        return
    if not 1 <= options.tta <= MAX_COPIES:
        raise ExportError(f"--tta is {options.tta}.", fix=f"use 1 to {MAX_COPIES} copies.", code="tta_copies")
    if options.tta_beta is not None and not 0 <= options.tta_beta <= 1:
        raise ExportError(
            f"--tta-beta is {options.tta_beta:g}.", fix="use a share from 0 to 1.", code="tta_beta_invalid"
        )


@dataclass(slots=True)
class Augmentation:
    """The augmented copies of a learner's pictures.

    Attributes:
        count: number of copies.
        beta: share of the plain picture in the answer.
        use_max: whether the answer is the maximum of all copies instead.
        varied: whether a transform differs between the copies.
        in_steps: whether a step makes the copies; otherwise only layers of the graph differ.
        left_out: names of transforms that vary in `learn.tta` and do not vary here.
    """

    count: int
    beta: float = BETA
    use_max: bool = False
    varied: bool = False
    in_steps: bool = False
    left_out: list[str] = field(default_factory=list)

    def steps(self, steps: list[State], records: Sequence[Any]) -> list[State]:
        """`steps`, or the opening step and one that makes all copies; `records` are the transforms of the others."""
        step = copies(steps[1:], records, self.count)
        if step is None:
            return steps
        self.varied = self.in_steps = True
        return [steps[0], step]

    def layer(self, transform: Any, plain: Layer | None, size: Size) -> Layer | None:
        """The layer of a batch transform, with a module for each copy if the transform varies.

        Args:
            transform: its record.
            plain: the layer of the plain picture; None if the transform leaves it unchanged.
            size: width and height of the pictures before the transform.
        """
        path = name_of(transform)
        make = BATCH_COPIES.get(path)
        if make is None:
            if plain is None:
                self.leave_out(transform)
            return plain
        left_out: list[str] = []
        made = [
            make(transform, Draws(copy, self.count, path), (size[1], size[0]), left_out) for copy in range(self.count)
        ]
        self.left_out += dict.fromkeys(left_out)
        if all(isinstance(module, nn.Identity) for module in made):
            return plain
        self.varied = True
        state = {"layer": made[0].__class__.__name__.lower()} if plain is None else plain.state
        return Layer(state, PerCopy([nn.Identity() if plain is None else plain.module, *made]))

    def leave_out(self, transform: Any) -> None:
        """Note that a transform does not vary."""
        self.left_out.append(name_of(transform).rpartition(".")[2])

    def first_layer(self) -> Layer:
        """The layer that puts the copies into the batch.

        Raises:
            ExportError: all copies would be equal.
        """
        if not self.varied:
            raise ExportError(
                "--tta does not apply, because the learner has no augmentation that fastmar can repeat"
                f"{_names(self.left_out)}.",
                fix="remove --tta, or train with aug_transforms() among the batch transforms.",
                code="tta_without_augmentation",
            )
        state = {"layer": STEP, "copies": self.count, "beta": self.beta, "use_max": self.use_max}
        return Layer(state, StackCopies(1 + self.count, self.in_steps))

    def notice(self) -> State:
        """A notice about the answers."""
        how = (
            "the maximum of all" if self.use_max else f"their mean, mixed with the picture itself by beta={self.beta:g}"
        )
        left_out = f" Left out: {', '.join(dict.fromkeys(self.left_out))}." if self.left_out else ""
        return model_notice(
            "test_time_augmentation",
            f"answers are those of learn.tta(n={self.count}): {self.count} augmented copies of each picture, {how}. "
            f"Where fastai draws random numbers, the copies have fixed, evenly spread ones.{left_out}",
        )


def _names(left_out: list[str]) -> str:
    return f" ({', '.join(dict.fromkeys(left_out))})" if left_out else ""


def augmentation_of(options: Options) -> Augmentation | None:
    """The augmentation that the options request; None for the answers of `learn.predict`."""
    if options.tta is None:
        return None
    return Augmentation(options.tta, BETA if options.tta_beta is None else options.tta_beta, bool(options.tta_use_max))


def _state(layers: Sequence[State]) -> State | None:
    return next((state for state in layers if state["layer"] == STEP), None)


def with_merged_copies(network: nn.Module, conversion: Conversion, activation: str) -> nn.Module:
    """`network` with the layer that merges the predictions of the copies, if there are any."""
    state = _state(conversion.layer_states)
    if state is None:
        return network
    return nn.Sequential(network, MergeCopies(1 + state["copies"], activation, state["beta"], state["use_max"]))


def merged_state(decode: State, layers: Sequence[State]) -> State:
    """The decoder's state for outputs to which the graph has already applied the activation.

    Raises:
        ExportError: predictions of this kind can't be merged.
    """
    if _state(layers) is None:
        return decode
    if decode["decoder"] not in _MERGED:
        raise ExportError(
            f"--tta does not apply to a prediction of {decode['decoder']}: points and masks of flipped and cropped "
            "copies have other places.",
            fix="remove --tta.",
            code="tta_not_applicable",
        )
    return {**decode, "activation": "identity"} if "activation" in decode else decode
