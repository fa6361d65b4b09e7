"""The modality of learners whose input is a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, ClassVar

from fastmar_contract.values import CATEGORY, NUMBER
from fastmar_export.conversion import Conversion, State
from fastmar_export.converters import Domain
from fastmar_export.learner import Learner
from fastmar_export.modalities import Modality, worker_configuration
from fastmar_export.modalities.tabular.conversion import POSITIONS, convert_tabular
from fastmar_export.modalities.tabular.golden import golden_records
from fastmar_export.modalities.tabular.table import TABLE
from fastmar_export.networks.folding import fold_linear_layers
from fastmar_export.networks.graph import SHALLOW
from fastmar_export.networks.passes import Pass
from fastmar_export.options import Options
from fastmar_export.targets import Notice, decoder_state
from fastmar_runtime.schema import json_value
from fastmar_runtime.spec import Field, Spec

MAX_CATEGORIES = 6  # categories of a column in a summary


class Tabular(Modality):
    """Learners whose input is a table."""

    name = "tabular"
    reads = "tables"
    loaders = "TabularDataLoaders"
    classes = (
        *("fastai.tabular.learner.TabularLearner", "fastai.tabular.data.TabularDataLoaders"),
        *("fastai.tabular.core.TabDataLoader", "fastai.tabular.core.TabWeightedDL", "fastai.collab.CollabDataLoaders"),
    )
    tolerance = SHALLOW
    domains: ClassVar[Mapping[str, Domain]] = {"procs": TABLE, "after_batch": TABLE}

    def matches(self, learner: Learner) -> bool:
        return learner.dataset.path in POSITIONS

    def convert(self, learner: Learner, options: Options) -> Conversion:
        return convert_tabular(learner)

    def golden(self, conversion: Conversion) -> list[Any]:
        return golden_records(conversion.fields, conversion.steps)

    def passes(self, conversion: Conversion) -> Sequence[Pass]:
        is_recommender = conversion.user_and_item is not None  # reads the factors of the items from the graph
        return () if is_recommender else (fold_linear_layers,)

    def decoder(
        self, conversion: Conversion, learner: Learner, shape: tuple[int, ...], requested: str | None
    ) -> tuple[State, list[Notice]]:
        targets = list(conversion.targets)
        return decoder_state(conversion.target_transforms, targets, learner.loss, prod(shape), requested)

    def workers(self) -> dict[str, Any]:
        return worker_configuration(batch=16, seconds=60, threads=1)

    def summary(self, spec: Spec) -> list[tuple[str, str]]:
        parts = {step["date"]: len(step["parts"]) for step in spec.steps if step["step"] == "add_datepart"}
        rows = []
        for field in spec.fields:
            if field.name in parts:
                rows.append((field.name, f"a date, from which {parts[field.name]} more columns are computed"))
            elif not field.optional:
                rows.append((field.name, _summary(field)))
        return rows


def _summary(field: Field) -> str:
    if field.kind == CATEGORY:
        known = [repr(json_value(category)) for category in field.categories[:MAX_CATEGORIES]]
        more = f", ... ({len(field.categories)} in all)" if len(field.categories) > MAX_CATEGORIES else ""
        return f"one of {', '.join(known)}{more}"
    if field.kind == NUMBER and field.default is not None:
        return f"a number, such as {field.default:g}"
    return f"a {field.kind}"


MODALITY = Tabular()
