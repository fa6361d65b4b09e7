"""The kinds of learners that can be exported: what each does at the stations where they differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastmar_export.conversion import Conversion
from fastmar_export.errors import UnsupportedLearner
from fastmar_export.golden import golden_records
from fastmar_export.golden_pictures import golden_pictures
from fastmar_export.learner import Learner, name_of
from fastmar_export.networks.listing import unknown_layers
from fastmar_export.options import Options
from fastmar_export.tabular import POSITIONS as TABLE_POSITIONS
from fastmar_export.tabular import convert_tabular
from fastmar_export.targets import Notice, State, table_decoder
from fastmar_export.vision import POSITIONS as PICTURE_POSITIONS
from fastmar_export.vision import convert_vision
from fastmar_export.vision_targets import picture_decoder
from fastmar_runtime.spec import TABULAR, VISION, Spec

Decoder = Callable[[list[Any], list[str], Learner, tuple[int, ...], str | None], tuple[State, list[Notice]]]

_SHOWN = 5  # layers that a refusal names


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of learner.

    Attributes:
        convert: transforms to fields, steps and layers.
        decoder: state of the decoder, from the targets' transforms, their names, the learner, the shape of the
            network's output for one record, and the activation that the user asked for.
        golden: records that prove the archive.
        positions: names of the arguments of the network's forward.
        image: whether the network reads pictures: its rounding is that of a deep one.
    """

    convert: Callable[[Learner, Options], Conversion]
    decoder: Decoder
    golden: Callable[[Spec], list[Any]]
    positions: tuple[str, ...]
    image: bool = False


KINDS: dict[str, Kind] = {
    TABULAR: Kind(convert_tabular, table_decoder, golden_records, TABLE_POSITIONS),
    VISION: Kind(convert_vision, picture_decoder, golden_pictures, PICTURE_POSITIONS, image=True),
}


def kind_of(learner: Learner) -> Kind:
    """What to do with `learner`.

    Raises:
        UnsupportedLearner: it reads neither a table nor pictures.
    """
    kind = KINDS.get(learner.kind)
    if kind is None:
        raise UnsupportedLearner(
            f"the learner reads {learner.kind} (learn.dls is {name_of(learner.record.get('dls'))}){_layers(learner)}; "
            "fastmar serves learners of tables and of pictures.",
            fix="write a TorchServe handler for this learner, or train one with fastai's TabularDataLoaders or "
            "ImageDataLoaders and export that.",
        )
    return kind


def _layers(learner: Learner) -> str:
    unknown = unknown_layers(learner.model)
    if not unknown:
        return ""
    more = f" and {len(unknown) - _SHOWN} more" * (len(unknown) > _SHOWN)
    return f", and its network has layers that fastmar does not know: {', '.join(unknown[:_SHOWN])}{more}"
