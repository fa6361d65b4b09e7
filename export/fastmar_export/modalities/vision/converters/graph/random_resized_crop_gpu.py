"""RandomResizedCropGPU: at inference, a centre crop with an allowed aspect ratio, resized to one size."""

from __future__ import annotations

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.modalities.vision.attributes import choice_of, number_of, require_always, size_of
from fastmar_export.modalities.vision.converters.graph.affine import MODES
from fastmar_export.modalities.vision.pictures import BATCH, Pictures
from fastmar_export.reader import Record


@converter("fastai.vision.augment.RandomResizedCropGPU", domain=BATCH)
def random_resized_crop_gpu(record: Record, where: str, pictures: Pictures) -> State:
    """``{"size": [width, height], "ratio": [low, high], "valid_scale", "mode"}``."""
    require_always(record, where)
    size = size_of(record, where, swapped=True)
    ratio = record.get("ratio")
    if not isinstance(ratio, list | tuple) or len(ratio) != 2 or not all(isinstance(r, int | float) for r in ratio):
        raise UnsupportedTransform(where, record.path, why=f"whose ratio is {ratio!r:.60}")
    low, high = float(ratio[0]), float(ratio[1])
    valid_scale = number_of(record, where, "valid_scale", 1.0)
    mode = choice_of(record, where, "mode", MODES)
    if pictures.size is None and mode == "nearest":
        raise UnsupportedTransform(
            where,
            record.path,
            why="which crops pictures of any size with mode nearest",
            fix="add Resize to item_tfms, train and export again.",
            code="nearest_crop_of_any_size",
        )
    pictures.size = size
    state = {"layer": "random_resized_crop_gpu", "size": list(size), "ratio": [low, high]}
    return {**state, "valid_scale": valid_scale, "mode": mode}
