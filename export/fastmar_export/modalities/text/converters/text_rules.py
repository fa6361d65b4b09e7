"""Tokenizer: its rules, which prepare the text. Its columns and its `tok` have converters of their own."""

from __future__ import annotations

from typing import Any

from fastmar_export.conversion import State
from fastmar_export.converters import converter
from fastmar_export.errors import UnsupportedTransform
from fastmar_export.learner import as_list, name_of
from fastmar_export.modalities.text.domains import TEXT
from fastmar_export.reader import Global, Record
from fastmar_runtime.text.rules import LOWERCASE, RULES

_MODULE = "fastai.text.core."
_OPTIONS = {"add_bos": True, "add_eos": False}  # of lowercase, with their defaults


@converter("fastai.text.core.Tokenizer", domain=TEXT)
def text_rules(record: Record, where: str, shared: Any) -> State:  # noqa: ARG001
    """``{"rules": [name, ...]}``, with ``"add_bos"`` and ``"add_eos"`` if one of them is `lowercase`."""
    names: list[str] = []
    lowercase: dict[str, bool] = {}
    for index, rule in enumerate(as_list(record.get("rules"))):
        name, options = _rule(rule, f"{where}.rules[{index}]")
        if name == LOWERCASE and lowercase not in ({}, options):
            raise _refusal(f"{where}.rules[{index}]", rule, "which the tokenizer has twice with different options")
        names.append(name)
        lowercase |= options
    return {"step": "text_rules", "rules": names, **lowercase}


def _rule(rule: Any, where: str) -> tuple[str, dict[str, bool]]:
    """The name of a rule, and the options of `lowercase`, which may be a `functools.partial`."""
    function, args, kwargs = _unwrapped(rule)
    path = name_of(function)
    name = path.removeprefix(_MODULE)
    if not isinstance(function, Global) or not path.startswith(_MODULE) or (name not in RULES and name != LOWERCASE):
        raise _refusal(where, function, "which is not one of fastai's rules")
    options = {**dict(zip(_OPTIONS, args, strict=False)), **kwargs}
    if name != LOWERCASE and not options:
        return name, {}
    if name != LOWERCASE or not options.keys() <= _OPTIONS.keys() or len(args) > len(_OPTIONS):
        raise _refusal(where, function, "with unknown options")
    return name, {option: bool(options.get(option, default)) for option, default in _OPTIONS.items()}


def _unwrapped(rule: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Function, arguments and keyword arguments of a `functools.partial`; the rule itself if it is none."""
    if isinstance(rule, Record) and rule.path == "functools.partial":
        match rule.state:
            case (function, tuple() as args, dict() | None as kwargs, _):
                return function, args, kwargs or {}
    return rule, (), {}


def _refusal(where: str, rule: Any, why: str) -> UnsupportedTransform:
    return UnsupportedTransform(
        where,
        name_of(rule),
        why=why,
        fix="train with fastai's own rules (defaults.text_proc_rules), and prepare texts before they are sent.",
        code="unknown_rule",
    )
