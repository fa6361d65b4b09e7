"""fastai's predictions for pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastmar_contract.files import read_picture
from fastmar_oracle.answers import Prediction
from fastmar_oracle.learner import predict
from fastmar_oracle.modalities import Modality
from fastmar_runtime import pictures
from fastmar_runtime.pictures import Picture
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Spec


class Vision(Modality):
    """Pictures, passed as the bytes of their files."""

    def read(self, golden: Sequence[Any], files: Sequence[Path], spec: Spec) -> list[Any]:
        read = pictures.gather(golden, Report(len(golden)))
        return [picture for picture in read if picture is not None] + [Picture(read_picture(f), f.name) for f in files]

    def predict(self, learn: Any, record: Any, spec: Spec) -> Prediction:
        return predict(learn, record.data)

    def describe(self, record: Any, number: int) -> str:
        return str(record)


MODALITY = Vision()
