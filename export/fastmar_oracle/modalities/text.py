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
        if type(learn).__name__ == "LMLearner":
            return _next_token(learn, texts[0])
        return predict(learn, texts[0] if len(texts) == 1 else _joined(learn, texts))


def _next_token(learn: Any, text: str) -> Prediction:
    """The probabilities from which `LMLearner.predict` samples the first token; it returns only the sampled text."""
    learn.model.reset()
    ids = learn.dls.test_dl([text]).items[0]
    with learn.no_bar():
        probabilities = learn.get_preds(dl=[(ids[None],)])[0][0, -1]
    index = int(probabilities.argmax())
    return Prediction(learn.dls.vocab[index], index, probabilities)


def _joined(learn: Any, texts: list[str]) -> str:
    import pandas as pd  # noqa: PLC0415 - comes with fastai
    from fastai.text.core import Tokenizer, _join_texts  # noqa: PLC0415 - slow to import

    [tokenizer] = [t for t in learn.dls.valid_ds.tls[0].tfms.fs if isinstance(t, Tokenizer)]
    marks = tokenizer.kwargs.get("mark_fields")
    [text] = _join_texts(pd.DataFrame([texts]), True if marks is None else marks)
    return str(text)


MODALITY = Text()
