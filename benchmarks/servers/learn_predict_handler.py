"""A typical TorchServe handler with `learn.predict`."""

import json
from pathlib import Path

import pandas as pd
from fastai.tabular.all import load_learner


class LearnPredictHandler:
    """Answers a batch record by record, since `learn.predict` takes one record."""

    def initialize(self, context):
        """Load the learner from the archive."""
        self.learn = load_learner(Path(context.system_properties["model_dir"]) / "learner.pkl")
        self.labels = list(self.learn.dls.vocab)

    def handle(self, data, context):  # noqa: ARG002 - TorchServe passes it
        """Answer each record."""
        return [self.answer(row.get("body") or row.get("data")) for row in data]

    def answer(self, record):
        """Answer one record with `learn.predict`."""
        if isinstance(record, bytes | bytearray):
            record = json.loads(record)
        with self.learn.no_bar(), self.learn.no_logging():
            _, index, probabilities = self.learn.predict(pd.Series(record))
        return {
            "prediction": self.labels[int(index)],
            "probabilities": dict(zip(self.labels, probabilities.tolist(), strict=True)),
        }
