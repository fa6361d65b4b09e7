"""fastai's predictions for rows of a table."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastmar_oracle.answers import Prediction
from fastmar_oracle.learner import FastaiUnavailable, predict, predict_first
from fastmar_oracle.modalities import Modality
from fastmar_runtime.columns import gather
from fastmar_runtime.report import Report
from fastmar_runtime.spec import Spec
from fastmar_runtime.steps.add_datepart import from_state


class Tabular(Modality):
    """Rows of a table."""

    def predict(self, learn: Any, record: Any, spec: Spec) -> Prediction:
        row = as_row(record, spec)
        try:
            return _predict(learn, _as_columns(learn, row))
        except Exception as error:
            raise FastaiUnavailable(
                f"fastai fails on {row} ({type(error).__name__}: {error}).",
                fix="compare the archive's answers with learn.get_preds in Python instead.",
            ) from error


def _predict(learn: Any, columns: dict[Any, Any]) -> Prediction:
    """The result of `learn.predict`, or of `learn.get_preds` for collaborative filtering, where `learn.predict` fails.

    There, `learn.get_preds` fails on a table of one row, so the row is passed twice.
    """
    import pandas as pd  # noqa: PLC0415 - comes with fastai
    from fastai.collab import TabularCollab  # noqa: PLC0415 - slow to import

    if isinstance(learn.dls.train_ds, TabularCollab):
        return predict_first(learn, pd.DataFrame([columns, columns], dtype=object))
    return predict(learn, pd.Series(columns, dtype=object))


def as_row(record: dict[str, Any], spec: Spec) -> dict[str, Any]:
    """`record` in the form for `learn.predict`: dates replaced by their parts, categories as in training."""
    report = Report(1)
    batch: dict[str, Any] = gather([record], spec.fields, report)
    for state in spec.steps:
        if state["step"] == "add_datepart":
            batch = from_state(state)(batch, report)
    row = {name: column[0] for name, column in batch.items()}
    for field in spec.fields:
        if field.name in row:
            row[field.name] = _as_trained(row[field.name], field.categories)
    return row


def _as_trained(value: Any, categories: tuple[Any, ...]) -> Any:
    if not isinstance(value, str) or value in categories:
        return value
    dates = {category["timestamp"] for category in categories if isinstance(category, dict)}
    if value in dates:
        return datetime.fromisoformat(value)
    trimmed = [c for c in categories if isinstance(c, str) and c.strip() == value.strip()]
    return trimmed[0] if len(trimmed) == 1 else value


def _as_columns(learn: Any, row: dict[str, Any]) -> dict[Any, Any]:
    """`row` with the learner's column keys, which are integers if those of its table are."""
    recorded = {str(key): key for key in (*learn.dls.cat_names, *learn.dls.cont_names)}
    return {recorded.get(name, name): value for name, value in row.items()}


MODALITY = Tabular()
