"""Affine transforms: Flip, Rotate, Zoom, Warp, Dihedral, and the one that `aug_transforms` merges them into.

At inference, each only resamples the picture, in the same size or another. Their `split_idx` is ignored: it is the
split of the last batch.
"""

from __future__ import annotations

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.modalities.vision.attributes import choice_of, size_of
from fastmar_export.modalities.vision.converters.resize import PAD_MODES
from fastmar_export.modalities.vision.pictures import BATCH, Pictures
from fastmar_export.reader import Record

MODES = ("bilinear", "nearest")


def affine(record: Record, where: str, pictures: Pictures) -> State:
    """``{"size": [width, height] or None, "mode", "pad_mode", "align_corners"}``."""
    size = None if record.get("size") is None else size_of(record, where, swapped=True)
    mode = choice_of(record, where, "mode", MODES)
    pad_mode = choice_of(record, where, "pad_mode", PAD_MODES)
    align_corners = record.get("align_corners")
    if align_corners not in (None, True, False):
        raise UnsupportedTransform(where, record.path, why=f"whose align_corners is {align_corners!r:.60}")
    pictures.size = size or pictures.size
    state = {"layer": "affine", "size": size and list(size), "mode": mode, "pad_mode": pad_mode}
    return {**state, "align_corners": bool(align_corners)}


FAMILY = (
    "AffineCoordTfm",
    "Flip",
    "DeterministicFlip",
    "Dihedral",
    "DeterministicDihedral",
    "Rotate",
    "Zoom",
    "Warp",
)
for _name in FAMILY:
    converter(f"fastai.vision.augment.{_name}", domain=BATCH)(affine)
