"""fastai's BaseTokenizer: splits a text at a character."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastmar_runtime.steps import TextStep
from fastmar_runtime.validation import build, invalid


@dataclass(frozen=True, slots=True)
class SplitTokens(TextStep):
    """Attributes: `split_char`, a text between tokens; None for any run of white space."""

    split_char: str | None

    def __call__(self, value: str) -> list[str]:
        """The tokens. As with `str.split`, two adjacent blanks have an empty token between them."""
        return value.split(self.split_char)


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> SplitTokens:
    """Read ``{"split_char"}``; `path` is its place, for messages."""
    step = build(SplitTokens, state, path, ignored=("step",))
    if step.split_char == "":
        raise invalid(f"{path}.split_char", "at least one character", step.split_char)
    return step
