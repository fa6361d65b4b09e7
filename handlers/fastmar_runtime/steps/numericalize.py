"""fastai's Numericalize: replaces tokens by their ids in the vocabulary; an unknown token gets id 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmar_contract.errors import RecordError
from fastmar_runtime.steps import TextStep
from fastmar_runtime.validation import check, unreadable


@dataclass(frozen=True, slots=True)
class Numericalize(TextStep):
    """Attributes: `ids` by token."""

    ids: dict[str, int]

    def __call__(self, value: list[str]) -> npt.NDArray[np.int64]:
        """The ids of the tokens, `int64 [time]`.

        Raises:
            RecordError: there are no tokens, which the network can't process.
        """
        if not value:
            raise RecordError(
                "empty_text", "the text has no tokens.", fix="send a text that has more than white space."
            )
        ids = self.ids
        return np.array([ids.get(token, 0) for token in value], np.int64)


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> Numericalize:
    """Read ``{"vocab": [token or null, ...]}``, where null is an id without a token.

    `path` is its place, for messages.
    """
    vocab = check(tuple[str | None, ...], state.get("vocab"), f"{path}.vocab")
    ids = {token: number for number, token in enumerate(vocab) if token is not None}
    if len(ids) != len(vocab) - vocab.count(None):
        raise unreadable(f"{path}.vocab has a repeated token")
    return Numericalize(ids)
