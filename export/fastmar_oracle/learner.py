"""Loads a learner with fastai, and predicts with it. Loading runs code in the pickle."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastmar_contract.errors import FastmarError
from fastmar_oracle.answers import Prediction


class FastaiUnavailable(FastmarError):
    """fastai is not installed, can't load the pickle, or can't predict."""

    code = "fastai_unavailable"


def load_learner(path: Path) -> Any:
    """Load the learner with fastai.

    Raises:
        FastaiUnavailable: fastai can't load it.
    """
    try:
        with _no_warnings():
            import fastai.callback.progress  # noqa: F401, PLC0415 - gives learners `no_bar`
            from fastai.learner import load_learner as load  # noqa: PLC0415 - slow to import

            return load(path)
    except Exception as error:  # old pickles may raise anything
        if isinstance(error, ModuleNotFoundError) and error.name == "fastai":
            raise FastaiUnavailable(
                "fastai is not installed.",
                fix="pip install fastai, in the version that wrote the learner (for an older one: 'fastai<2.8').",
                code="fastai_missing",
            ) from error
        # For a module that is missing fastai raises an UnboundLocalError; for a name, this AttributeError.
        if isinstance(error, UnboundLocalError) or "Custom classes or functions" in str(error):
            detail = str(error).splitlines()[-1].strip() if isinstance(error, AttributeError) else "a missing module"
            raise FastaiUnavailable(
                f"fastai can't load {path}: it has functions or classes that can't be imported here ({detail}).",
                fix="move those of a notebook to a module, export again, and set PYTHONPATH to the module's folder.",
                code="own_code_missing",
            ) from error
        raise FastaiUnavailable(
            f"fastai can't load {path} ({type(error).__name__}: {error}).",
            fix="install the version of fastai that wrote it (for an older version: pip install 'fastai<2.8').",
        ) from error


def _no_warnings() -> contextlib.AbstractContextManager[object]:
    """Ignore warnings of fastai and torch, which are about their own code; the help of `verify` warns of the pickle."""
    return warnings.catch_warnings(action="ignore")


def predict(learn: Any, item: Any) -> Prediction:
    """The result of `learn.predict` for `item`, without its terminal output."""
    with _quiet(learn):
        return Prediction(*learn.predict(item))


def predict_first(learn: Any, table: Any) -> Prediction:
    """The result of `learn.get_preds` for the first row of the DataFrame `table`, without its terminal output."""
    with _quiet(learn):
        numbers, _, decoded = learn.get_preds(dl=learn.dls.test_dl(table), with_decoded=True)
    return Prediction(decoded[0], decoded[0], numbers[0])


@contextlib.contextmanager
def _quiet(learn: Any) -> Iterator[None]:
    with _no_warnings(), learn.no_bar(), learn.no_logging(), contextlib.redirect_stdout(io.StringIO()):
        yield
