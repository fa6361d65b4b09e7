"""Compares the graph and the network for texts of other lengths than the golden ones, and in parts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fastmar_export.modalities import Arrays
from fastmar_export.networks.fastai_text import state_sizes
from fastmar_export.networks.graph import DEEP, check_graph, evaluation
from fastmar_runtime.modalities.text.preprocessing import IDS, LENGTHS, PAD
from fastmar_runtime.predictor import Predictor

_SEED = 20
_BATCHES = ((2,), (71, 3, 72), (150, 144, 1, 73))  # lengths around multiples of the networks' chunks of 72 ids
_FIRST = 20  # ids of a text that are processed before the others


def check_other_lengths(network: nn.Module, predictor: Predictor, samples: Arrays) -> float:
    """The largest difference for texts of random ids of `samples`.

    A language model also processes one of them in two parts, with the states after the first one.

    Raises:
        ParityFailed: a difference exceeds the tolerance.
    """
    known = np.unique(samples[IDS])
    known = known[known != PAD]
    generator = np.random.default_rng(_SEED)
    differences = []
    for lengths in _BATCHES:
        ids = np.full((len(lengths), max(lengths)), PAD, np.int64)
        for row, length in enumerate(lengths):
            ids[row, :length] = generator.choice(known, length)
        inputs = {IDS: ids, LENGTHS: np.array(lengths, np.int64)}
        with evaluation():
            expected = network(*map(torch.from_numpy, inputs.values())).numpy()
        sizes = state_sizes(network)
        states = {name: np.zeros((len(lengths), size), np.float32) for name, size in sizes.items()}
        differences.append(check_graph(predictor.run(inputs | states), expected, DEEP))
    if sizes:
        first = predictor.run_all(_ids(ids[:1, :_FIRST]) | {name: each[:1] for name, each in states.items()})
        carried = dict(zip(sizes, list(first.values())[2:], strict=True))
        differences.append(check_graph(predictor.run(_ids(ids[:1, _FIRST:]) | carried), expected[:1], DEEP))
    return max(differences)


def _ids(ids: npt.NDArray[np.int64]) -> Arrays:
    """The graph's inputs for texts of equal lengths, [batch, time]."""
    return {IDS: ids, LENGTHS: np.full(len(ids), ids.shape[1])}
