"""Compares the graph and the network for texts of other lengths than the golden ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from fastmar_export.modalities import Arrays
from fastmar_export.networks.graph import DEEP, check_graph
from fastmar_runtime.modalities.text.preprocessing import IDS, LENGTHS, PAD
from fastmar_runtime.predictor import Predictor

_SEED = 20
_BATCHES = ((2,), (71, 3, 72), (150, 144, 1, 73))  # lengths around multiples of the networks' chunks of 72 ids


def check_other_lengths(network: nn.Module, predictor: Predictor, samples: Arrays) -> float:
    """The largest difference for texts of random ids of `samples`.

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
        with torch.inference_mode():
            expected = network(*map(torch.from_numpy, inputs.values())).numpy()
        differences.append(check_graph(predictor.run(inputs), expected, DEEP))
    return max(differences)
