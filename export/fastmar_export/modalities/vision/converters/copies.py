"""The step of test-time augmentation that makes several copies of a picture, with drawn crops.

It takes the place of all steps after the first one, so no converter is registered for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastmar_export.conversion import State
from fastmar_export.modalities.vision.augmentation.draws import Draws
from fastmar_export.reader import Record

_CROP_DRAWS = 22  # of RandomResizedCrop: area and ratio in each of ten attempts, and the position
STEP = "copies"


def _position(record: Record, state: State, draws: Draws) -> State:  # noqa: ARG001
    return {**state, "draws": [draws.random(), draws.random()]}


def _resized_crop(record: Record, state: State, draws: Draws) -> State:
    scale, ratio = (record.get("min_scale"), record.get("max_scale", 1.0)), record.get("ratio")
    numbers = [draws.random() for _ in range(_CROP_DRAWS)]
    return {**state, "scale": [*map(float, scale)], "ratio": [*map(float, ratio)], "draws": numbers}


_DRAWN: dict[str, Callable[[Record, State, Draws], State]] = {
    "resize": _position,
    "random_crop": _position,
    "random_resized_crop": _resized_crop,
}


def copies(states: Sequence[State], records: Sequence[Any], count: int) -> State | None:
    """``{"copies": [[step, ...], ...]}``: `states` for the plain picture, and with drawn crops for `count` copies.

    Args:
        states: the steps after the first one.
        records: the transforms of `states`.
        count: number of copies.

    Returns:
        None if no step draws anything.
    """
    if not any(_draws(state) for state in states):
        return None
    made = [[*states]]
    for copy in range(count):
        pairs = zip(states, records, strict=True)
        made.append([_DRAWN[s["step"]](r, s, Draws(copy, count, r.path)) if _draws(s) else s for s, r in pairs])
    return {"step": STEP, "copies": made}


def _draws(state: State) -> bool:
    return state["step"] in _DRAWN and state.get("method") != "squish"


def plain_steps(steps: Sequence[State]) -> list[State]:
    """`steps` with those of the plain picture in place of the step `copies`."""
    return [inner for state in steps for inner in (state["copies"][0] if state["step"] == STEP else [state])]
