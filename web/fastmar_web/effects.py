"""The scale of effects on an answer, for bars and for overlays."""

from __future__ import annotations

from collections.abc import Iterable

_LEAST = 0.05  # effect on a probability with the longest bar: if all effects are smaller, all bars are short


def largest_effect(effects: Iterable[float], *, is_share: bool) -> float:
    """The effect with the longest bar, never 0.

    Args:
        effects: the effects, positive or negative.
        is_share: whether they are effects on a probability.
    """
    return max((_LEAST if is_share else 0.0, *map(abs, effects))) or 1.0
