"""Text classifiers: the rebuilt network and its graph answer for any batch as fastai does for each text alone.

The tolerance is for outputs of up to about 5. Measured differences are below 3e-6, because the order of sums differs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle
import numpy as np
import onnxruntime
import pytest
import torch
from fastai.text.models.awdlstm import AWD_LSTM, WeightDropout
from fastai.text.models.core import SentenceEncoder, SequentialRNN, get_text_classifier
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fastmar_export.errors import UnsupportedModule
from fastmar_export.networks import Graph, export_graph, rebuild
from fastmar_export.networks.graph import check_graph
from fastmar_export.reader import read_torch_file
from tests.conftest import MEASURED
from tests.export.errors import raises
from tests.export.networks.makers import recorded
from tests.export.networks.texts import PAD, SMALL, Ids, classifier, fastai_answers, inputs, random_texts, tokens

TOLERANCE = 1e-5
POSITIONS = ("ids", "lengths")
AXES = {"ids": {1: "time"}}

CASES: dict[str, dict[str, Any]] = {
    "fastai's chunks": {"max_len": 150},
    "short chunks": {"seq_len": 8, "max_len": 20, "n_out": 5, "lin_ftrs": [9, 7], "ps": [0.1, 0.1]},
    "one layer, not shortened": {
        "seq_len": 10, "max_len": None, "n_out": 1, "y_range": (-1, 3), "config": {"n_layers": 1}
    },
}  # fmt: skip


class Case(NamedTuple):
    """A learner, its rebuilt network, and the session of its graph."""

    learn: Any
    network: nn.Module
    graph: Graph
    session: Any

    def answers(self, texts: list[Ids], extra: int = 0) -> tuple[Any, Any]:
        """The outputs of network and graph."""
        batch = inputs(texts, extra)
        with torch.no_grad():
            of_network = self.network(*[torch.from_numpy(batch[name]) for name in POSITIONS]).numpy()
        return of_network, self.session.run(None, batch)[0]


def exported(learn: Any, network: nn.Module) -> Case:
    graph, _ = export_graph(network, inputs(random_texts([5, 13])), POSITIONS, AXES)
    return Case(learn, network, graph, onnxruntime.InferenceSession(graph.model))


def saved(network: nn.Module, folder: Path, **options: Any) -> Any:
    """The record of a network in a file of `torch.save`."""
    torch.save(network, folder / "network.pkl", pickle_protocol=2, **options)
    return read_torch_file(folder / "network.pkl").root


@pytest.fixture(scope="module", params=list(CASES))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    learn = classifier(**CASES[request.param])
    return exported(learn, rebuild(recorded(learn, tmp_path_factory.mktemp("learner"))))


@pytest.mark.parametrize("paddings", [0.0, 0.3])
@pytest.mark.parametrize("batch", [1, 7, 32])
def test_answers_equal_fastai(case: Case, batch: int, paddings: float, record_property: Any) -> None:
    lengths = [400, 1, 72, 73, 144, 71, 145, 2, 8, 9, *np.random.default_rng(batch).integers(1, 400, 22).tolist()]
    texts = [text for text in random_texts(lengths[:batch], paddings, batch) if _is_kept(case.learn.model[0], text)]
    theirs = fastai_answers(case.learn.model, texts)
    if batch > 1:
        assert theirs.std(0).min() > 0.05  # outputs depend on the text
    record_property(MEASURED, max(float(np.abs(ours - theirs).max()) for ours in case.answers(texts)))
    for ours in case.answers(texts):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)


def _is_kept(encoder: SentenceEncoder, ids: Ids) -> bool:
    """Whether fastai keeps a token of the text, so that it has an answer."""
    if encoder.max_len is None:
        return True
    first = -(-max(0, len(ids) - encoder.max_len) // encoder.bptt) * encoder.bptt
    return bool((ids[first:] != PAD).any())


def test_shapes(case: Case) -> None:
    shapes = {each.name: each.shape for each in (*case.graph.inputs, *case.graph.outputs)}
    classes = fastai_answers(case.learn.model, random_texts([3])).shape[1]
    assert shapes == {"ids": ("batch", "time"), "lengths": ("batch",), "output": ("batch", classes)}


def test_padding_does_not_change_answers(case: Case) -> None:
    texts = random_texts([30, 80, 1], 0.1)
    for ours, padded in zip(case.answers(texts), case.answers(texts, extra=75), strict=True):
        np.testing.assert_allclose(padded, ours, rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A classifier with chunks of 4 tokens, that keeps 9."""
    learn = classifier(seq_len=4, max_len=9)
    return exported(learn, rebuild(recorded(learn, tmp_path_factory.mktemp("learner"))))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(st.sampled_from([PAD, PAD, 2, 3, 4]), min_size=1, max_size=30), min_size=1, max_size=4))
def test_literal_paddings(short: Case, lists: list[list[int]]) -> None:
    """fastai's answers for texts with the token `xxpad` are reproduced, whether it begins a chunk or not."""
    texts = [text for text in map(np.array, lists) if _is_kept(short.learn.model[0], text)]
    if texts:
        theirs = fastai_answers(short.learn.model, texts)
        for ours in short.answers(texts):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE)


def test_text_without_a_kept_token_has_no_answer(short: Case) -> None:
    with torch.no_grad(), pytest.raises(IndexError):
        short.learn.model(torch.full((1, 3), PAD))
    padding = np.full(3, PAD)
    text = np.array([2, 3])
    for ours, alone in zip(short.answers([padding, text]), short.answers([text]), strict=True):
        assert np.isnan(ours[0]).any()
        np.testing.assert_allclose(ours[1:], alone, atol=1e-6)


def test_answers_equal_predict(short: Case) -> None:
    texts = [tokens(number) for number in (0, 3, 20)]
    ids = [np.array([short.learn.dls.vocab[0].index(token) for token in text]) for text in texts]
    theirs = np.stack([short.learn.predict(text)[2].numpy() for text in texts])
    output = torch.from_numpy(short.answers(ids)[1])
    np.testing.assert_allclose(output.softmax(1).numpy(), theirs, rtol=0, atol=TOLERANCE)
    check_graph(*short.answers(ids))


@pytest.mark.parametrize("plain", [False, True])
def test_network_of_plain_pickle(short: Case, plain: bool, tmp_path: Path) -> None:
    network = rebuild(recorded(short.learn, tmp_path, plain))
    assert not [type(each) for each in network.modules() if type(each).__module__.startswith("fastai")]
    assert torch.equal(network(*_batch()), short.network(*_batch()))


def _batch() -> list[torch.Tensor]:
    return [torch.from_numpy(array) for array in inputs(random_texts([9, 20])).values()]


def test_weights_with_dropout_are_not_used(tmp_path: Path) -> None:
    """The LSTM in a file has the weights of the last training batch, where some are 0."""
    network = classifier(seq_len=4).model
    alone = fastai_answers(network, random_texts([9, 20]))
    for each in network.modules():
        if isinstance(each, WeightDropout):
            each.module.weight_hh_l0 = torch.zeros_like(each.weight_hh_l0_raw)
    rebuilt = rebuild(saved(network, tmp_path, pickle_module=cloudpickle))
    np.testing.assert_allclose(rebuilt(*_batch()).detach().numpy(), alone, rtol=0, atol=TOLERANCE)


def test_half_precision_is_exported_in_float32(tmp_path: Path) -> None:
    network = rebuild(saved(classifier(seq_len=4).model.half(), tmp_path, pickle_module=cloudpickle))
    assert network(*_batch()).dtype == torch.float32


def test_plain_sequential(short: Case) -> None:
    """The layers of a learner in torch's Sequential have one input, which is a tuple."""
    network = nn.Sequential(*short.network.children())
    assert torch.equal(network(_batch()), short.network(*_batch()))


def test_two_directions_are_refused(tmp_path: Path) -> None:
    network = get_text_classifier(AWD_LSTM, 60, 2, config=SMALL | {"output_p": 0.4, "bidir": True})
    with raises(UnsupportedModule, "bidirectional_lstm") as caught:
        rebuild(saved(network, tmp_path, pickle_module=cloudpickle))
    assert caught.value.where == "model.0.module.rnns.0"


@pytest.mark.parametrize(
    "layer", [nn.GRU(2, 2), nn.LSTM(2, 2, num_layers=2), nn.LSTM(2, 2, bias=False), nn.LSTM(2, 2, proj_size=1)]
)
def test_other_recurrent_layers_are_refused(layer: nn.Module, tmp_path: Path) -> None:
    with raises(UnsupportedModule, "unsupported_module"):
        rebuild(saved(SequentialRNN(WeightDropout(layer, 0.5)), tmp_path, pickle_module=cloudpickle))


def test_other_encoder_is_refused(tmp_path: Path) -> None:
    network = SequentialRNN(SentenceEncoder(72, nn.Identity()))
    with raises(UnsupportedModule, "unsupported_module") as caught:
        rebuild(saved(network, tmp_path))
    assert caught.value.where == "model.0"
