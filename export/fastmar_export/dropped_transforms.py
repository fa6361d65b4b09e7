"""Transforms that only training needs: the export drops them by class path, and lists them with reasons in `spec.json`.

A transform with a `split_idx` of 0 runs on training items only. A user's own transform with that value is dropped too;
any other unknown transform is refused.
"""

from __future__ import annotations

from typing import Any

from fastmar_export.reader import Record, bases_of

_RANDOM = "augments pictures in training; fastai skips it when it predicts (split_idx 0)"
_LIGHTING = "changes light in training; fastai skips it when it predicts (split_idx 0)"
_GETTER = "finds or opens an item in training; a request contains the item itself"

TRAINING_ONLY: dict[str, str] = {
    **{f"fastai.vision.augment.{name}": _RANDOM for name in ("FlipItem", "DihedralItem", "RandomErasing")},
    **{
        f"fastai.vision.augment.{name}": _LIGHTING
        for name in ("Brightness", "Contrast", "Saturation", "Hue", "HSVTfm", "LightingTfm", "SpaceTfm")
    },
}
"""Reasons by the class path of fastai's transforms."""


def reason_to_drop(transform: Any) -> str | None:
    """Why inference does not need `transform`; None if it does."""
    if not isinstance(transform, Record):
        return None
    split = split_idx(transform)
    if transform.path in TRAINING_ONLY:
        return TRAINING_ONLY[transform.path] if split in (0, _MISSING) else None
    # fastai overwrites the split_idx of affine transforms with the split of the current batch.
    is_affine = transform.get("aff_fs") is not None
    return "runs on training items only (split_idx 0)" if split == 0 and not is_affine else None


def is_getter(path: str) -> bool:
    """Whether a transform of a type pipeline is a plain function that finds an item, which a request contains."""
    return path.endswith(".Transform") or not path.startswith("fastai.")


def dropped_getter(what: str) -> dict[str, str]:
    """The entry of `dropped` for a function that finds an item."""
    return {"what": what, "reason": _GETTER}


_MISSING: Any = object()


def split_idx(transform: Record) -> Any:
    """The recorded `split_idx`: of the instance, or else of a class that is pickled by value."""
    value = transform.get("split_idx", _MISSING)
    if value is _MISSING and isinstance(transform.callee, Record):
        value = transform.callee.get("split_idx", _MISSING)
        if value is _MISSING and any(getattr(b, "name", "") == "RandTransform" for b in bases_of(transform)):
            return 0
    return value
