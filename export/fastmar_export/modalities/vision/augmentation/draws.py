"""The numbers of one augmented copy, which take the place of Python's `random` in fastai's transforms."""

from __future__ import annotations

from random import Random
from typing import Any

from fastmar_export.reader import Record

DETERMINISTIC = "fastai.vision.augment.DeterministicDraw"


class LeftOut(Exception):
    """A transform draws in a way that can't be recorded, such as by a function of the user."""


class Draws:
    """Numbers for one of several copies.

    Each number that a transform draws takes evenly spread values over the copies: of four copies, 1/8, 3/8, 5/8 and
    7/8, in another order for each number (a Latin hypercube). So of four copies with a flip of probability 0.5, two are
    flipped.
    """

    def __init__(self, copy: int, copies: int, path: str) -> None:
        """Start with the first number.

        Args:
            copy: number of the copy, from 0.
            copies: number of copies.
            path: class path of the transform; different transforms draw different numbers.
        """
        self.copy, self.copies, self._path, self._count = copy, copies, path, 0

    def random(self) -> float:
        """The next number, between 0 and 1."""
        order = Random(f"{self._path} {self._count}").sample(range(self.copies), self.copies)  # noqa: S311
        self._count += 1
        return (order[self.copy] + 0.5) / self.copies

    def uniform(self, low: float, high: float) -> float:
        """The next number, between `low` and `high`."""
        return low + (high - low) * self.random()

    def randint(self, low: int, high: int) -> int:
        """The next integer from `low` to `high`, including both."""
        return low + int(self.random() * (high - low + 1))

    def masked(self, value: float, p: Any, neutral: float) -> float:
        """`value` with probability `p`, else `neutral`: fastai's `mask_tensor` for a whole batch."""
        return value if p == 1.0 or self.random() < p else neutral

    def fixed(self, draw: Any) -> float | None:
        """The value that the user set instead of a random one; None if there is none.

        Raises:
            LeftOut: it is a function or a list.
        """
        if isinstance(draw, Record) and draw.path == DETERMINISTIC:
            values = draw.get("vals")
            return float(values[self.copy % len(values)])
        if draw is None or (isinstance(draw, int | float) and not isinstance(draw, bool)):
            return draw
        raise LeftOut
