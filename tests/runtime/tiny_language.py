"""A tiny language model, without torch or fastai: each token is followed by the next one of a cycle of words.

Its state is the sum of the one-hot vectors of all tokens. Their weight in the logits is so low that they only show that
the state is carried along.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fastmar_contract.values import TEXT
from fastmar_runtime import __version__
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Field, Generator, Spec, Tensor

SPECIAL = ("xxunk", "xxpad", "xxbos", "xxmaj", "xxrep", "3")
WORDS = ("it", "was", "good", "and")
VOCABULARY = (*SPECIAL, *WORDS)
SIZE = len(VOCABULARY)
STATE_WEIGHT = 0.01


def spec(**changes: Any) -> Spec:
    state = ("batch", SIZE)
    base = Spec(
        protocol=1,
        name="words",
        version="1.0",
        kind="text",
        runtime=__version__,
        fields=(Field("text", TEXT, nullable=False),),
        steps=(
            {"step": "text_rules", "rules": [], "add_bos": False, "add_eos": False},
            {"step": "split_tokens", "split_char": " "},
            {"step": "numericalize", "vocab": list(VOCABULARY)},
        ),
        inputs=(Tensor("ids", "int64", ("batch", "time")), Tensor("lengths", "int64", ("batch",)), _float("h0", state)),
        outputs=(_float("output", state), _float("encoding", state), _float("next_h0", state)),
        decode={"decoder": "category", "activation": "softmax", "vocab": list(VOCABULARY), "top": 3},
        targets=("token",),
        provenance={},
        generator=Generator(" "),
    )
    return replace(base, **changes)


def _float(name: str, shape: tuple[Any, ...]) -> Tensor:
    return Tensor(name, "float32", shape)


def logits() -> Any:
    """Logits of the next token, [token, next token]: 5 for the next word of the cycle, 0 for the others."""
    found = np.zeros((SIZE, SIZE), np.float32)
    first = len(SPECIAL)
    for at in range(SIZE):
        following = first + (at - first + 1) % len(WORDS) if at >= first else first
        found[at, following] = 5
    return found


def graph(weights: Any = None) -> bytes:
    """``next_h0 = h0 + sum(one_hot(ids))``; ``output = logits[last id] + next_h0 * STATE_WEIGHT``."""
    constants = {
        "logits": logits() if weights is None else weights,
        "identity": np.eye(SIZE, dtype=np.float32),
        "weight": np.array(STATE_WEIGHT, np.float32),
        "time": np.array([1]),
        "one": np.array([1]),
    }
    nodes = [
        helper.make_node("Gather", ["identity", "ids"], ["tokens"]),
        helper.make_node("ReduceSum", ["tokens", "time"], ["counts"], keepdims=0),
        helper.make_node("Add", ["h0", "counts"], ["next_h0"]),
        helper.make_node("Identity", ["next_h0"], ["encoding"]),
        helper.make_node("Sub", ["lengths", "one"], ["last"]),
        helper.make_node("Unsqueeze", ["last", "time"], ["place"]),
        helper.make_node("GatherElements", ["ids", "place"], ["last_id"], axis=1),
        helper.make_node("Squeeze", ["last_id", "time"], ["id"]),
        helper.make_node("Gather", ["logits", "id"], ["of_last"]),
        helper.make_node("Mul", ["next_h0", "weight"], ["of_state"]),
        helper.make_node("Add", ["of_last", "of_state"], ["output"]),
    ]
    types = {"int64": TensorProto.INT64, "float32": TensorProto.FLOAT}
    values = [
        [helper.make_tensor_value_info(each.name, types[each.dtype], each.shape) for each in tensors]
        for tensors in (spec().inputs, spec().outputs)
    ]
    body = helper.make_graph(
        nodes, "words", *values, [numpy_helper.from_array(array, name) for name, array in constants.items()]
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def predictor(**changes: Any) -> Predictor:
    return Predictor(spec(**changes), graph())
