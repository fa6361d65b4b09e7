"""A tiny collaborative filtering model: dot products of factors of 3 users and 5 items, without torch or fastai."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fastmar_contract.values import CATEGORY
from fastmar_runtime import __version__
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.spec import Field, Recommender, Spec, Tensor

USERS, ITEMS = (1, 2, 7), ("Alien", "Brazil", "Casablanca", "Dune", "Eraserhead")
USER_FACTORS = np.array([[0.5, 0.5], [1, 0], [0, 1], [-1, 1]], dtype=np.float32)  # the first row is #na#
ITEM_FACTORS = np.array([[0, 0], [4, 1], [3, 2], [2, 3], [1, 4], [2, 3]], dtype=np.float32)
RECORD: dict[str, Any] = {"user": 1, "title": "Dune"}


def spec(**changes: Any) -> Spec:
    vocabularies = {"user": list(USERS), "title": list(ITEMS)}
    base = Spec(
        protocol=1,
        name="films",
        version="1.0",
        kind="tabular",
        runtime=__version__,
        fields=(
            Field("user", CATEGORY, categories=USERS, default=1),
            Field("title", CATEGORY, categories=ITEMS, default="Alien"),
        ),
        steps=(
            {"step": "categorify", "vocabularies": vocabularies},
            {"step": "read_tab_batch", "cats": ["user", "title"], "conts": []},
        ),
        inputs=(Tensor("x_cat", "int64", ("batch", 2)),),
        outputs=(Tensor("output", "float32", ("batch", 1)),),
        decode={"decoder": "regression", "size": 1, "activation": "identity"},
        targets=("rating",),
        provenance={},
        recommender=Recommender("user", "title", "items"),
    )
    return replace(base, **changes)


def graph(item_factors: Any = ITEM_FACTORS) -> bytes:
    """``output = sum(users[x_cat[:, 0]] * items[x_cat[:, 1]])``."""
    weights = {
        "users": USER_FACTORS,
        "items": item_factors,
        "first": np.array(0),
        "second": np.array(1),
        "axis": np.array([1]),
        "int32": np.array([1, 2], dtype=np.int32),
    }
    nodes = [
        helper.make_node("Gather", ["x_cat", "first"], ["user"], axis=1),
        helper.make_node("Gather", ["x_cat", "second"], ["item"], axis=1),
        helper.make_node("Gather", ["users", "user"], ["of_user"]),
        helper.make_node("Gather", ["items", "item"], ["of_item"]),
        helper.make_node("Mul", ["of_user", "of_item"], ["products"]),
        helper.make_node("ReduceSum", ["products", "axis"], ["output"], keepdims=1),
    ]
    body = helper.make_graph(
        nodes,
        "films",
        [helper.make_tensor_value_info("x_cat", TensorProto.INT64, ["batch", 2])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def predictor(**changes: Any) -> Predictor:
    return Predictor(spec(**changes), graph())
