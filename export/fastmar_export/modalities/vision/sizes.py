"""Networks that take pictures of any size: the graph is compared with the network in a second size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fastmar_export.conversion import Conversion
from fastmar_export.errors import ParityFailed
from fastmar_export.modalities.vision.golden import OPEN_SIZE
from fastmar_export.networks.graph import DEEP, check_graph
from fastmar_runtime.predictor import Predictor

_MORE = ((0, 0), (0, 0), (0, 37), (0, 101))  # rows and columns that the second size has beside the first


@contextmanager
def naming_size(conversion: Conversion) -> Iterator[None]:
    """Add the pictures' size to a `ParityFailed`, where the learner takes pictures of any size."""
    try:
        yield
    except ParityFailed as error:
        if not conversion.open_axes:
            raise
        size = " x ".join(map(str, OPEN_SIZE))
        raise ParityFailed(
            f"the learner takes pictures as they come, and on one of {size} pixels {error.message}",
            fix=f"{error.fix} If all its pictures have one size, export with --picture-size WIDTHxHEIGHT.",
        ) from error


def check_other_size(
    network: nn.Module, predictor: Predictor, samples: dict[str, npt.NDArray[Any]], first: npt.NDArray[np.float32]
) -> float:
    """Largest difference on pictures of another size than the graph was made with, whose output was `first`.

    Raises:
        ParityFailed: it is too large, or the network takes no other size.
    """
    (name, pictures), *_ = samples.items()
    other = {name: np.ascontiguousarray(np.pad(pictures, _MORE, "reflect"))}
    try:
        with torch.no_grad():
            expected = network(torch.from_numpy(other[name])).numpy()
        if expected.ndim == 2 and expected.shape[1:] != first.shape[1:]:
            raise ValueError("the number of outputs depends on the picture's size")
        return check_graph(predictor.run(other), expected, DEEP)
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        raise ParityFailed(
            "the learner takes pictures of any size, and its network's graph does not.",
            fix="export with --picture-size WIDTHxHEIGHT if all pictures have one size; otherwise train with Resize "
            "among the item transforms.",
        ) from error
