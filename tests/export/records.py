"""Records of transforms, made without a pickle."""

from __future__ import annotations

from typing import Any

from fastmar_export.converters import Domain
from fastmar_export.converters import convert as converted
from fastmar_export.modalities.vision.layers import layer_of
from fastmar_export.modalities.vision.pictures import Pictures
from fastmar_export.reader import Global, Record


def record(path: str, **attributes: Any) -> Record:
    module, _, name = path.rpartition(".")
    return Record(Global(module, name), is_instance=True, state=attributes)


def convert(
    domain: Domain, path: str, before: tuple[int, int] | None = (64, 48), /, **attributes: Any
) -> tuple[Any, Pictures]:
    """The layer for a transform with `attributes`; pictures have the width and height `before`, or any size if None."""
    pictures = Pictures(before)
    state = converted(record(path, **attributes), "dls.after_batch[0]", domain, pictures)
    return layer_of(state, before), pictures
