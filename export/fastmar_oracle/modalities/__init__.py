"""Predictions of fastai, with one module for each modality, which has the modality's name.

A modality is a stateless object, in its module's `MODALITY`.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastmar_contract.errors import FastmarError
from fastmar_contract.files import errors_naming, read_input
from fastmar_oracle.answers import Prediction
from fastmar_runtime import payload
from fastmar_runtime.spec import Spec


class ModalityUnknown(FastmarError):
    """The model is of an extension's modality, which this package can't compare with fastai."""

    code = "modality_not_comparable"


class Modality(ABC):
    """Reads records of one modality, and predicts for them with fastai."""

    def read(self, golden: Sequence[Any], files: Sequence[Path], spec: Spec) -> list[Any]:
        """The golden records, followed by the records in the files."""
        records = list(golden)
        for path in files:
            with errors_naming(str(path)):
                records += payload.read(*read_input(str(path)), spec).records
        return records

    @abstractmethod
    def predict(self, learn: Any, record: Any, spec: Spec) -> Prediction:
        """The result of `learn.predict` for `record`, or of `learn.get_preds` where it can't predict.

        Raises:
            FastaiUnavailable: fastai fails.
        """

    def describe(self, record: Any, number: int) -> str:
        """A name of the record for messages; `number` is its position after the golden records."""
        return f"record {number}"


def modality(kind: str) -> Modality:
    """The modality of a spec's `kind`, from the module of that name in this folder.

    Raises:
        ModalityUnknown: there is none.
    """
    try:
        found: Modality = importlib.import_module(f"{__name__}.{kind}").MODALITY
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{kind}":
            raise
        raise ModalityUnknown(
            f"answers of a model of the kind {kind!r} can't be compared with fastai's: an extension adds this kind.",
            fix="run `fastmar verify` without --learner, which replays the golden records.",
        ) from error
    return found
