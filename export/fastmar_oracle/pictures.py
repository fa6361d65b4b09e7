"""fastai's own answers to pictures, beside an archive's."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_contract.files import read_picture
from fastmar_runtime import pictures
from fastmar_runtime.masks import read_png
from fastmar_runtime.pictures import Picture
from fastmar_runtime.report import Report

PIXELS = 1e-3
"""Share of a mask's pixels that may be of another class: where two are equally likely, the last bit decides."""

Values = npt.NDArray[np.float64]


def as_pictures(records: Sequence[Any], files: Sequence[Path]) -> list[Picture]:
    """Golden records and files as pictures."""
    read = pictures.gather(records, Report(len(records)))
    return [picture for picture in read if picture is not None] + [Picture(read_picture(f), f.name) for f in files]


def compare(learn: Any, picture: Picture, ours: dict[str, Any], decode: dict[str, Any]) -> tuple[Values, Values, bool]:
    """Our numbers, those of `learn.predict`, and whether what is predicted is the same."""
    with learn.no_bar(), learn.no_logging(), contextlib.redirect_stdout(io.StringIO()):
        decoded, indices, predictions = learn.predict(picture.data)
    if decode["decoder"] == "points":
        return _flat(ours["points_model"]), _flat(decoded), True
    if decode["decoder"] == "segmentation":
        ours_mask, theirs_mask = read_png(ours["prediction"]["mask"]), np.asarray(indices)
        same = ours_mask.shape == theirs_mask.shape and float(np.mean(ours_mask != theirs_mask)) <= PIXELS
        return np.zeros(1), np.zeros(1), same
    if "probabilities" not in ours:
        return _flat(ours["prediction"]), _flat(predictions), True
    labels = [str(label) for label in decode["vocab"]]
    theirs = dict(zip(labels, _flat(predictions).tolist(), strict=True))
    if decode["decoder"] == "category":
        same = ours["prediction"] == labels[int(indices)]
    else:
        same = ours["prediction"] == [label for label, on in zip(labels, np.asarray(indices), strict=True) if on]
    told = list(ours["probabilities"])  # the likeliest alone, where there are many
    return _flat([ours["probabilities"][label] for label in told]), _flat([theirs[label] for label in told]), same


def _flat(values: Any) -> Values:
    return np.asarray(values, dtype=np.float64).reshape(-1)
