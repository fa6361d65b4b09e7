"""How fastai is asked, one module for each modality, named like it.

A modality is an object without state of its own, in its module's `MODALITY`.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastmar_oracle.answers import Prediction
from fastmar_runtime.spec import Spec


class Modality(ABC):
    """How records of one modality are read, named and handed to `learn.predict`."""

    @abstractmethod
    def read(self, golden: Sequence[Any], files: Sequence[Path], spec: Spec) -> list[Any]:
        """The golden records, and then those in the files."""

    @abstractmethod
    def ask(self, learn: Any, record: Any, spec: Spec) -> Prediction:
        """What `learn.predict` returns for `record`.

        Raises:
            FastaiUnavailable: fastai can't answer it.
        """

    @abstractmethod
    def place(self, record: Any, number: int) -> str:
        """What messages call a record that was refused, the one of that number behind the golden records."""


def modality(kind: str) -> Modality:
    """The modality of a spec's `kind`; found by its module in this folder."""
    found: Modality = importlib.import_module(f"{__name__}.{kind}").MODALITY
    return found
