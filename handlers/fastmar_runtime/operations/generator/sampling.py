"""Chooses the next token of a text from the network's output."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen, as in fastai's `LMLearner.predict`.

    Attributes:
        temperature: probabilities are raised to the power 1 / temperature: below 1, probable tokens are chosen more
            often.
        min_p: tokens with a lower probability are not chosen, unless all are lower.
        excluded: id of a token that is never chosen; None for no token.
    """

    temperature: float = 1.0
    min_p: float | None = None
    excluded: int | None = None

    def weights(self, logits: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], bool]:
        """The weight of each token, [tokens] float64, and whether all tokens have a probability below `min_p`."""
        scores = logits.astype(np.float64)
        scores -= scores.max()
        scores -= np.log(np.exp(scores).sum())
        if self.excluded is not None:
            scores[self.excluded] = -np.inf
        all_lower = False
        if self.min_p is not None:
            lower = np.exp(scores) < self.min_p
            all_lower = bool(lower.all())
            if not all_lower:
                scores[lower] = -np.inf
        scores -= scores.max()  # before the division: with a low temperature, all weights would be 0
        weights: npt.NDArray[np.float64] = np.exp(scores / self.temperature)
        return weights, all_lower


def choose(weights: npt.NDArray[np.float64], generator: np.random.Generator) -> int:
    """A random position, with a probability in proportion to its weight."""
    sums = np.cumsum(weights)
    return int(np.searchsorted(sums, generator.random() * sums[-1], side="right"))
