"""LSTM layers in int8: smaller graphs with nearly the same answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from fastmar_export.networks import export_graph, rebuild
from fastmar_export.networks.fastai_text import state_sizes
from fastmar_export.networks.quantization import quantize_lstm
from fastmar_runtime.operators import operators
from tests.export.networks.makers import recorded
from tests.export.networks.texts import classifier, inputs, language_model, random_texts

AXES = {"ids": {1: "time"}}
TOLERANCE = 0.1  # for logits with standard deviations of up to 1.6; 0.05 was measured


@pytest.mark.parametrize("kind", ["classifier", "language model"])
def test_answers_are_nearly_the_same(kind: str, tmp_path: Path) -> None:
    config = {"emb_sz": 40, "n_hid": 64, "n_layers": 2}
    learn = classifier(config=config) if kind == "classifier" else language_model(**config)
    for name, weights in learn.model.named_parameters():
        if "rnns" in name:
            weights.data *= 0.4  # with larger weights, small differences grow from token to token
    network = rebuild(recorded(learn, tmp_path))
    names = state_sizes(network) if kind == "language model" else {}
    outputs = ["output", "pooled", *[f"next_{name}" for name in names]] if names else ["output"]
    batch = inputs(random_texts([60, 31, 7, 1]))
    batch |= {name: np.zeros((4, size), np.float32) for name, size in names.items()}
    graph, expected = export_graph(network, batch, list(batch), AXES, outputs)
    quantized = quantize_lstm(graph.model)
    assert len(quantized) < 0.5 * len(graph.model)
    assert operators(graph.model) - operators(quantized) == {"LSTM"}
    assert "com.microsoft.DynamicQuantizeLSTM" in operators(quantized)
    ours = onnxruntime.InferenceSession(quantized).run(None, batch)[0]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=TOLERANCE)
