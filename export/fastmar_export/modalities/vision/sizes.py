"""Networks for pictures of any size: compares the graph with the network on pictures of a second size."""

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
from fastmar_export.modalities.vision.golden import GOLDEN_SIZE
from fastmar_export.networks.graph import DEEP, check_graph, evaluation
from fastmar_runtime.predictor import Predictor

_PADDING = ((0, 0), (0, 0), (0, 37), (0, 101))  # added to the first size to get the second


@contextmanager
def add_size_to_error(conversion: Conversion) -> Iterator[None]:
    """Add the pictures' size to a `ParityFailed` of a learner for pictures of any size."""
    try:
        yield
    except ParityFailed as error:
        if not conversion.dynamic_axes:
            raise
        size = " x ".join(map(str, GOLDEN_SIZE))
        raise ParityFailed(
            f"the learner does not resize pictures, and for a picture of {size} pixels {error.message}",
            fix=f"{error.fix} If all its pictures have one size, export with --picture-size WIDTHxHEIGHT.",
        ) from error


def check_other_size(
    network: nn.Module, predictor: Predictor, samples: dict[str, npt.NDArray[Any]], first: npt.NDArray[np.float32]
) -> float:
    """Largest difference between graph and network on pictures of a second size.

    Args:
        network: the network in evaluation mode, with the layers before it.
        predictor: runs the graph.
        samples: inputs in the first size, with which the graph was exported.
        first: the network's output for `samples`.

    Raises:
        ParityFailed: the difference exceeds the tolerance, or the network or graph does not accept the second size.
    """
    (name, pictures), *_ = samples.items()
    other = {name: np.ascontiguousarray(np.pad(pictures, _PADDING, "reflect"))}
    try:
        with evaluation():
            expected = network(torch.from_numpy(other[name])).numpy()
        if expected.ndim == 2 and expected.shape[1:] != first.shape[1:]:
            raise ValueError("the number of outputs depends on the picture's size")
        return check_graph(predictor.run(other), expected, DEEP)
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        raise ParityFailed(
            "the learner accepts pictures of any size, but the graph of its network does not.",
            fix="export with --picture-size WIDTHxHEIGHT if all pictures have one size; otherwise train with Resize "
            "as an item transform.",
        ) from error
