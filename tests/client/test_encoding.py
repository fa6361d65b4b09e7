from __future__ import annotations

import datetime
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmar_client import (
    RecordRefused,
    image_record,
)
from fastmar_client.encoding import encode


def test_encodes_values_of_pandas_and_numpy() -> None:
    record = {
        "i": np.int64(3),
        "f": np.float32(0.5),
        "a": np.array([1, 2]),
        "b": np.bool_(True),
        "d": datetime.datetime(2024, 2, 29, 12),
        "n": Decimal("1.5"),
    }
    expected = {"i": 3, "f": 0.5, "a": [1, 2], "b": True, "d": "2024-02-29T12:00:00", "n": 1.5}
    assert json.loads(encode(record)) == expected


@pytest.mark.parametrize("nan", [math.nan, np.float64("nan"), np.float32("nan")])
def test_nan_becomes_null(nan: Any) -> None:
    assert json.loads(encode([{"x": nan, "y": [np.array([1.0, nan]), "é", True, None]}])) == [
        {"x": None, "y": [[1.0, None], "é", True, None]}
    ]


@pytest.mark.parametrize("value", [math.inf, object(), b"bytes", {1, 2}])
def test_refuses_values_that_json_cannot_express(value: Any) -> None:
    with pytest.raises(RecordRefused) as caught:
        encode({"x": value})
    assert caught.value.code == "not_json"


def test_image_record(tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"\x89PNG")
    assert image_record(tmp_path / "p.png") == image_record(b"\x89PNG") == {"image": {"b64": "iVBORw=="}}
