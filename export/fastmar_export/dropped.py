"""Transforms that only training needs: left out by name, each with its reason, and listed in `spec.json`.

fastai runs a transform where its `split_idx` fits: one of 0 runs on training items alone. A user's own transform that
is recorded so is left out as well; any other that is not known is refused.
"""

from __future__ import annotations

from typing import Any

from fastmar_export.reader import Record, bases_of

_RANDOM = "augments pictures in training; fastai skips it when it predicts (split_idx 0)"
_LIGHTING = "changes light in training; fastai skips it when it predicts (split_idx 0)"
_GETTER = "finds or opens an item in training; a request brings the picture itself"

TRAINING_ONLY: dict[str, str] = {
    **{f"fastai.vision.augment.{name}": _RANDOM for name in ("FlipItem", "DihedralItem", "RandomErasing")},
    **{
        f"fastai.vision.augment.{name}": _LIGHTING
        for name in ("Brightness", "Contrast", "Saturation", "Hue", "HSVTfm", "LightingTfm", "SpaceTfm")
    },
}
"""Reasons by the class path of fastai's own."""


def reason_to_drop(transform: Any) -> str | None:
    """Why inference does without `transform`; None where it does not."""
    if not isinstance(transform, Record):
        return None
    split = split_idx(transform)
    if transform.path in TRAINING_ONLY:
        return TRAINING_ONLY[transform.path] if split in (0, _UNSAID) else None
    # fastai writes the split at hand into every affine transform, so that its record says nothing.
    is_affine = transform.get("aff_fs") is not None
    return "runs on training items alone (split_idx 0)" if split == 0 and not is_affine else None


def transform_is_getter(path: str) -> bool:
    """Whether a transform of a type pipeline is a plain function: what it finds, a request brings."""
    return path.endswith(".Transform") or not path.startswith("fastai.")


def getter(what: str) -> dict[str, str]:
    """What is said of a function that finds an item: the request brings it."""
    return {"what": what, "reason": _GETTER}


_UNSAID: Any = object()


def split_idx(transform: Record) -> Any:
    """The recorded `split_idx`, of the instance or else of a class that cloudpickle wrote out."""
    value = transform.get("split_idx", _UNSAID)
    if value is _UNSAID and isinstance(transform.callee, Record):
        value = transform.callee.get("split_idx", _UNSAID)
        if value is _UNSAID and any(getattr(b, "name", "") == "RandTransform" for b in bases_of(transform)):
            return 0
    return value
