"""Each modality of the export is compared with fastai, by its own way to read records and to ask for answers."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.runtime import tiny

from fastmar_export.modalities import modalities
from fastmar_oracle.learner import FastaiUnavailable
from fastmar_oracle.modalities import Modality, modality


class Learn:
    """In place of a learner: `predict` returns what it is given, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.dls = type("Loaders", (), {"cat_names": [], "cont_names": []})

    no_bar = no_logging = staticmethod(contextlib.nullcontext)

    def predict(self, item: Any) -> tuple[Any, Any, Any]:
        if self.error is not None:
            raise self.error
        return item, 0, 0


@pytest.mark.parametrize("name", modalities())
def test_each_modality_of_the_export_can_be_compared(name: str) -> None:
    assert isinstance(modality(name), Modality)


def test_records_of_files_come_behind_the_golden_ones(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("age\n31\n32\n")
    records = modality("tabular").read([tiny.record()], [tmp_path / "rows.csv"], tiny.spec())
    assert [record["age"] for record in records[1:]] == [31, 32]
    assert records[0] == tiny.record()


def test_pictures_of_files_are_asked_by_their_bytes(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3)).save(buffer, "PNG")
    (tmp_path / "red.png").write_bytes(buffer.getvalue())
    vision = modality("vision")
    [picture] = vision.read([], [tmp_path / "red.png"], tiny.spec())
    assert vision.ask(Learn(), picture, tiny.spec()).decoded == buffer.getvalue()
    assert vision.place(picture, 0).startswith("red.png of ")


def test_a_row_that_fastai_cannot_answer_is_named() -> None:
    with pytest.raises(FastaiUnavailable, match=r"'age'.*KeyError"):
        modality("tabular").ask(Learn(KeyError("age")), tiny.record(), tiny.spec())
