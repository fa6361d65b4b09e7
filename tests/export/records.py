"""Records of transforms as the reader gives them, without a pickle."""

from __future__ import annotations

from typing import Any

from fastmar_export.converters import Pictures, registry
from fastmar_export.front import layer_of
from fastmar_export.reader import Global, Record


def record(path: str, **attributes: Any) -> Record:
    module, _, name = path.rpartition(".")
    return Record(Global(module, name), is_instance=True, state=attributes)


def convert(
    domain: str, path: str, before: tuple[int, int] | None = (64, 48), /, **attributes: Any
) -> tuple[Any, Pictures]:
    """What a transform of `attributes` becomes behind ones that leave pictures in size `before` (width, height)."""
    pictures = Pictures(before)
    state = registry()[path, domain](record(path, **attributes), "dls.after_batch[0]", pictures)
    return layer_of(state, before), pictures
