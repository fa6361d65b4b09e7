"""A learner as fastai loads it, and its answers. Loading runs what is in the pickle."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

from fastmar_contract.errors import FastmarError
from fastmar_oracle.answers import Prediction


class FastaiUnavailable(FastmarError):
    """fastai is not installed here, or can't load the pickle."""

    code = "fastai_unavailable"


def load_learner(path: Path) -> Any:
    """The learner, by fastai.

    Raises:
        FastaiUnavailable: fastai can't load it here.
    """
    try:
        import fastai.callback.progress  # noqa: F401, PLC0415 - gives learners `no_bar`
        from fastai.learner import load_learner as load  # noqa: PLC0415 - slow, and only here

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # fastai warns of pickle, and so does our own help
            return load(path)
    except Exception as error:  # whatever an old pickle makes fastai raise
        raise FastaiUnavailable(
            f"fastai can't load {path} here ({type(error).__name__}: {error}).",
            fix="verify where the fastai that wrote it is installed (an older one: pip install 'fastai<2.8').",
        ) from error


def predict(learn: Any, item: Any) -> Prediction:
    """What `learn.predict` returns for `item`, without fastai's output."""
    with learn.no_bar(), learn.no_logging(), contextlib.redirect_stdout(io.StringIO()):
        return Prediction(*learn.predict(item))
