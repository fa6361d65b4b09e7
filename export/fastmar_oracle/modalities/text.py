"""fastai's predictions for texts."""

from __future__ import annotations

from typing import Any

from fastmar_oracle.answers import Prediction
from fastmar_oracle.learner import predict
from fastmar_oracle.modalities import Modality
from fastmar_runtime.spec import Spec


class Text(Modality):
    """Texts. Several columns are joined as in training, because `learn.predict` takes one text."""

    def predict(self, learn: Any, record: Any, spec: Spec) -> Prediction:
        texts = [record] if isinstance(record, str) else [record[field.name] for field in spec.fields]
        return predict(learn, texts[0] if len(texts) == 1 else _joined(learn, texts))


def _joined(learn: Any, texts: list[str]) -> str:
    import pandas as pd  # noqa: PLC0415 - comes with fastai
    from fastai.text.core import Tokenizer, _join_texts  # noqa: PLC0415 - slow to import

    [tokenizer] = [t for t in learn.dls.valid_ds.tls[0].tfms.fs if isinstance(t, Tokenizer)]
    marks = tokenizer.kwargs.get("mark_fields")
    [text] = _join_texts(pd.DataFrame([texts]), True if marks is None else marks)
    return str(text)


MODALITY = Text()
