"""fastai's own answers to pictures."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastmar_contract.files import read_picture
from fastmar_oracle.answers import Prediction
from fastmar_runtime import pictures
from fastmar_runtime.pictures import Picture
from fastmar_runtime.report import Report


def as_pictures(records: Sequence[Any], files: Sequence[Path]) -> list[Picture]:
    """Golden records and files as pictures."""
    read = pictures.gather(records, Report(len(records)))
    return [picture for picture in read if picture is not None] + [Picture(read_picture(f), f.name) for f in files]


def ask_fastai(learn: Any, picture: Picture) -> Prediction:
    """What `learn.predict` says to one picture."""
    with learn.no_bar(), learn.no_logging(), contextlib.redirect_stdout(io.StringIO()):
        return Prediction(*learn.predict(picture.data))
