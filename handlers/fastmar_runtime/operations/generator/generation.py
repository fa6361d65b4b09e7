"""Generates texts with a language model, and encodes texts with it.

``{"text": "This film", "generate": 20}`` requests a text with 20 more tokens; ``temperature``, ``min_p``, ``no_unk``
and ``seed`` are options of it. ``{"text": "This film", "embed": true}`` requests the encoding of the text.

The network keeps its state from token to token. fastai processes the whole text again for each token, with the same
result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastmar_contract.display import short_repr
from fastmar_contract.errors import RecordError
from fastmar_runtime.activations import all_finite
from fastmar_runtime.modalities.text.preprocessing import IDS, LENGTHS
from fastmar_runtime.operations import Answer, Model, Operations
from fastmar_runtime.operations.generator.sampling import Sampling, choose
from fastmar_runtime.operations.generator.special_tokens import Decoder
from fastmar_runtime.preprocess import Arrays
from fastmar_runtime.spec import Generator, Spec
from fastmar_runtime.validation import invalid, unreadable

GENERATE, EMBED = "generate", "embed"
TEMPERATURE, MIN_P, NO_UNK, SEED = "temperature", "min_p", "no_unk", "seed"
OPTIONS = (GENERATE, TEMPERATURE, MIN_P, NO_UNK, SEED, EMBED)
MAX_TOKENS = 1000
"""Maximum tokens of a request."""
MAX_SEED = 2**53 - 1  # JavaScript's largest exact integer

UNK, BOS, PAD = "xxunk", "xxbos", "xxpad"
_FILLER = "xxfake"  # fastai fills vocabularies with it; the spec has null for repeated tokens


def requestable(spec: Spec) -> tuple[str, ...]:
    """The options that request an operation; none if a column has the name of one of them."""
    return () if {field.name for field in spec.fields} & {*OPTIONS} else (GENERATE, EMBED)


def check_generator(spec: Spec) -> None:
    """Raise `BundleUnreadable` if the inputs and outputs of the graph are not those of a language model."""
    before = [(tensor.dtype, tensor.shape) for tensor in spec.inputs if tensor.name not in (IDS, LENGTHS)]
    after = [(tensor.dtype, tensor.shape) for tensor in spec.outputs[2:]]
    if not before or before != after:
        raise unreadable("spec.json: generator: the graph's outputs after the second must be the states of its inputs")
    size = spec.outputs[0].shape[-1]
    if size != len(_vocabulary(spec)):
        raise invalid("spec.json: graph.outputs", "a first output with a number for each token of the vocabulary", size)


def _vocabulary(spec: Spec) -> list[str]:
    found: list[str | None] = next((step["vocab"] for step in spec.steps if step["step"] == "numericalize"), [])
    return [_FILLER if token is None else token for token in found]


class Generation(Operations):
    """Answers records that request a text or an encoding."""

    def __init__(self, model: Model, generator: Generator) -> None:
        spec = model.spec
        self._model = model
        self._separator = generator.separator
        self._options = requestable(spec)
        self._vocabulary = _vocabulary(spec)
        self._unknown = self._vocabulary.index(UNK) if UNK in self._vocabulary else None
        self._logits, self._encoding, *after = [tensor.name for tensor in spec.outputs]
        before = [tensor.name for tensor in spec.inputs if tensor.name not in (IDS, LENGTHS)]
        self._states = dict(zip(before, after, strict=True))

    def option(self, record: Any) -> str | None:
        """See `Operations`."""
        return next((o for o in self._options if o in record), None) if isinstance(record, dict) else None

    def size(self, record: dict[str, Any]) -> int:
        """See `Operations`."""
        count = record.get(GENERATE)
        return min(count, MAX_TOKENS) if type(count) is int and count > 0 else 0

    def answer(self, record: dict[str, Any]) -> Answer:
        """The text or the encoding that `record` requests.

        Returns:
            ``{"text", "generated", "warnings"}``: the whole text as fastai's `LMLearner.predict` returns it, and its
            new part; or ``{"embedding", "warnings"}``: the output for the last token, the maximum and the mean over all
            tokens of the encoder's last layer, one after the other.

        Raises:
            RecordError: an option is invalid, or the text can't be scored.
        """
        if self.option(record) == EMBED:
            return self._embed(record)
        *_, answer = self._generate(record)
        return answer

    def stream(self, record: Any) -> Iterator[Answer] | None:
        """See `Operations`. Each part is ``{"text"}`` with the next characters of ``generated``.

        Raises:
            RecordError: an option is invalid, or the text can't be scored.
        """
        return self._generate(record) if self.option(record) == GENERATE else None

    def _embed(self, record: dict[str, Any]) -> Answer:
        if record[EMBED] is not True:
            raise _invalid(EMBED, "true", record[EMBED])
        inputs, warnings = self._inputs(record)
        [encoding] = self._run(inputs)[self._encoding]
        return {"embedding": encoding.tolist(), "warnings": warnings}

    def _generate(self, record: dict[str, Any]) -> Iterator[Answer]:
        count = record[GENERATE]
        if type(count) is not int or not 1 <= count <= MAX_TOKENS:
            raise _invalid(GENERATE, f"a number of tokens from 1 to {MAX_TOKENS:,}", count)
        sampling = self._sampling(record)
        random = np.random.default_rng(_option(record, SEED, None, f"a whole number from 0 to {MAX_SEED:,}", _is_seed))
        inputs, warnings = self._inputs(record)
        decoder = Decoder()
        text = self._separator.join(decoder(self._tokens(inputs[IDS][0].tolist())))
        return self._parts(text, decoder, self._run(inputs), count, sampling, random, warnings)

    def _parts(
        self,
        text: str,
        decoder: Decoder,
        outputs: Arrays,
        count: int,
        sampling: Sampling,
        random: np.random.Generator,
        warnings: list[dict[str, Any]],
    ) -> Iterator[Answer]:
        """Generate `count` tokens after `text`, whose tokens `decoder` has decoded and the graph has processed."""
        generated: list[str] = []
        all_lower = False
        for left in range(count, 0, -1):
            weights, is_lower = sampling.weights(outputs[self._logits][0])
            all_lower = all_lower or is_lower
            chosen = choose(weights, random)
            words = decoder(self._tokens([chosen]))
            if words:
                start = self._separator if text or generated else ""
                generated.append(start + self._separator.join(words))
                yield {"text": generated[-1]}
            if left > 1:
                states = {before: outputs[after] for before, after in self._states.items()}
                outputs = self._run({IDS: np.array([[chosen]]), LENGTHS: np.array([1]), **states})
        if all_lower:
            warnings = [*warnings, _all_lower(sampling.min_p)]
        new = "".join(generated)
        yield {"text": text + new, "generated": new.removeprefix(self._separator), "warnings": warnings}

    def _sampling(self, record: dict[str, Any]) -> Sampling:
        no_unk = _option(record, NO_UNK, True, "true or false", lambda value: isinstance(value, bool))
        return Sampling(
            float(_option(record, TEMPERATURE, 1.0, "a number above 0", lambda value: value > 0)),
            _option(record, MIN_P, None, "a probability from 0 to 1", lambda value: 0 <= value <= 1),
            self._unknown if no_unk else None,
        )

    def _inputs(self, record: dict[str, Any]) -> tuple[Arrays, list[dict[str, Any]]]:
        """The graph's inputs for the text of `record`, and the warnings about it; raises the error of a refused one."""
        inputs, report = self._model.preprocess([{name: record[name] for name in record if name not in OPTIONS}])
        for error in report.errors.values():
            raise error
        return inputs, report.warnings[0]

    def _run(self, inputs: Arrays) -> Arrays:
        outputs = self._model.run_all(inputs)
        if not all_finite(outputs[self._logits]):
            raise RecordError(
                "not_finite",
                "the network's output for this text is not a finite number.",
                fix="train again with a smaller learning rate, and export that learner.",
            )
        return outputs

    def _tokens(self, ids: list[int]) -> list[str]:
        tokens = [self._vocabulary[each] for each in ids]
        return [token for token in tokens if token not in (BOS, PAD)]


def _is_seed(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_SEED


def _option(record: dict[str, Any], name: str, default: Any, expected: str, is_valid: Callable[[Any], bool]) -> Any:
    """The value of an option; `default` if it is missing or null. Raises `RecordError` if it is invalid."""
    value = record.get(name)
    if value is None:
        return default
    is_number = type(value) in (int, float) and math.isfinite(value)
    if not (is_number or isinstance(value, bool)) or isinstance(value, bool) != isinstance(default, bool):
        raise _invalid(name, expected, value)
    if not is_valid(value):
        raise _invalid(name, expected, value)
    return value


def _invalid(name: str, expected: str, value: Any) -> RecordError:
    return RecordError(
        "invalid_option",
        f"{name!r} must be {expected}; got {short_repr(value)}.",
        fix=f"send {expected} as {name!r}.",
        field=name,
    )


def _all_lower(min_p: float | None) -> dict[str, Any]:
    return {
        "field": MIN_P,
        "code": "min_p_too_high",
        "value": min_p,
        "message": f"all tokens had a probability below {min_p:g} at least once; then any of them could be chosen.",
    }
