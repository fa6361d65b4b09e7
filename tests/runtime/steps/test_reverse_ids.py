"""Ids for networks that read backwards, as of fastai's reverse_text."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from fastai.text.data import reverse_text

from fastmar_runtime.errors import BundleUnreadable
from fastmar_runtime.steps import load_step


@pytest.mark.parametrize("ids", [[2], [2, 5, 0, 9]])
def test_ids_are_reversed(ids: list[int]) -> None:
    found = load_step({"step": "reverse_ids"})(np.array(ids, np.int64))
    assert found.dtype == np.int64
    assert found.tolist() == reverse_text(torch.tensor(ids)).tolist()
    assert found.flags.c_contiguous


def test_invalid_state() -> None:
    with pytest.raises(BundleUnreadable):
        load_step({"step": "reverse_ids", "axis": 0})
