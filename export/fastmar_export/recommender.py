"""The part of the spec that collaborative filtering models need to rank items."""

from __future__ import annotations

import numpy as np

from fastmar_export.conversion import Conversion
from fastmar_export.network_export import ExportedNetwork
from fastmar_export.networks.graph import WEIGHTS
from fastmar_runtime.operators import float_initializer
from fastmar_runtime.spec import Recommender


def recommender(conversion: Conversion, exported: ExportedNetwork) -> Recommender | None:
    """The recommender of the spec; None for a model that does not answer users and items with one number."""
    one_number = exported.decode.get("size") == 1
    if conversion.user_and_item is None or not one_number:
        return None
    user, item = conversion.user_and_item
    items = next(len(field.categories) for field in conversion.fields if field.name == item)
    return Recommender(user, item, _factors(exported)) if items else None


def _factors(exported: ExportedNetwork) -> str | None:
    """The name of the items' factors in the graph; None if the network is the user's own, or the graph lacks them."""
    name: str | None = getattr(exported.network, "item_factors", None)
    if name is None:
        return None
    weights = float_initializer(exported.graph.model, WEIGHTS + name)
    same = weights is not None and np.array_equal(weights, exported.network.state_dict()[name].numpy())
    return WEIGHTS + name if same else None
