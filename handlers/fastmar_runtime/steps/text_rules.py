"""fastai's rules of a Tokenizer: prepares a text, for example writes "WOW!!!!" as "xxup wow xxrep 4 !"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastmar_runtime.steps import TextStep
from fastmar_runtime.text.rules import LOWERCASE, RULES, lowercase
from fastmar_runtime.validation import build, invalid


@dataclass(frozen=True, slots=True)
class TextRules(TextStep):
    """Attributes: `rules` by name in their order; `add_bos` and `add_eos` are options of the rule `lowercase`."""

    rules: tuple[str, ...]
    add_bos: bool = True
    add_eos: bool = False

    def __call__(self, value: str) -> str:
        """The text after all rules.

        Raises:
            RecordError: a character reference of HTML can't be read.
        """
        for rule in self.rules:
            if rule == LOWERCASE:
                value = lowercase(value, add_bos=self.add_bos, add_eos=self.add_eos)
            else:
                value = RULES[rule](value)
        return value


def from_state(state: dict[str, Any], path: str = "spec.json: step") -> TextRules:
    """Read ``{"rules": [name, ...], "add_bos", "add_eos"}``; `path` is its place, for messages."""
    step = build(TextRules, state, path, ignored=("step",))
    for rule in step.rules:
        if rule not in RULES and rule != LOWERCASE:
            raise invalid(f"{path}.rules", f"names of {LOWERCASE}, {', '.join(RULES)}", rule)
    return step
