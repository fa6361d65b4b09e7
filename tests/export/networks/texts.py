"""Text learners of fastai with small networks, and texts as ids of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from fastai.data.core import Datasets
from fastai.data.transforms import Categorize
from fastai.text.data import LMDataLoader, Numericalize, pad_input_chunk
from fastai.text.learner import language_model_learner, text_classifier_learner
from fastai.text.models.awdlstm import AWD_LSTM
from fastcore.foundation import L
from torch import nn

PAD = 1
VOCAB = ["xxunk", "xxpad", "xxbos", *[f"w{number}" for number in range(57)]]
SMALL = {
    "emb_sz": 12, "n_hid": 20, "n_layers": 3, "pad_token": PAD, "bidir": False, "hidden_p": 0.3, "input_p": 0.4,
    "embed_p": 0.05, "weight_p": 0.5,
}  # fmt: skip
"""The configuration of a small `AWD_LSTM`."""

Ids = npt.NDArray[np.int64]


def tokens(number: int) -> L:
    """The tokens of a text."""
    return L("xxbos", *np.random.default_rng(number).choice(VOCAB[2:], 5 + number))


def label(number: int) -> str:
    return "abc"[number % 3]


def loaders() -> Any:
    """fastai's loaders of 16 texts of three kinds, without a tokenizer."""
    transforms = [[tokens, Numericalize(vocab=VOCAB)], [label, Categorize(vocab=list("abc"))]]
    datasets = Datasets(list(range(16)), transforms, splits=[list(range(12)), list(range(12, 16))])
    return datasets.dataloaders(bs=4, before_batch=pad_input_chunk, num_workers=0)


def classifier(seed: int = 0, config: dict[str, Any] | None = None, **options: Any) -> Any:
    """A text classifier whose output depends on all tokens."""
    torch.manual_seed(seed)
    config = SMALL | {"output_p": 0.4} | (config or {})
    learn = text_classifier_learner(loaders(), AWD_LSTM, config=config, pretrained=False, **options)
    randomise(learn.model)
    return learn


def language_model(seed: int = 0, **config: Any) -> Any:
    """A language model; its weights of embedding and decoder are tied, as is fastai's default."""
    torch.manual_seed(seed)
    datasets = Datasets(list(range(16)), [[tokens, Numericalize(vocab=VOCAB)]], splits=[range(12), range(12, 16)])
    loaders = datasets.dataloaders(bs=2, seq_len=8, dl_type=LMDataLoader, num_workers=0)
    config = SMALL | {"output_p": 0.1, "tie_weights": True, "out_bias": True} | config
    learn = language_model_learner(loaders, AWD_LSTM, config=config, pretrained=False)
    randomise(learn.model)
    return learn


def randomise(network: nn.Module) -> None:
    """Large weights, because with fastai's initial ones the first tokens of a text hardly influence its answer."""
    for name, weights in network.named_parameters():
        if "rnns" in name or weights.dim() == 2:
            weights.data.normal_(0, 0.5)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm1d):
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.5, 1.5)
    network.eval()


def random_texts(lengths: Sequence[int], paddings: float = 0.0, seed: int = 0) -> list[Ids]:
    """Ids of random tokens for texts of the given lengths; a share of tokens are `xxpad`, but the last never is."""
    random = np.random.default_rng(seed)
    texts = []
    for length in lengths:
        ids = random.integers(2, len(VOCAB), length)
        ids[:-1][random.random(length - 1) < paddings] = PAD
        texts.append(ids)
    return texts


def inputs(texts: Sequence[Ids], extra: int = 0) -> dict[str, Ids]:
    """The inputs of the exported network: ids, padded on the right by `extra` more than necessary, and lengths."""
    lengths = np.array([len(ids) for ids in texts], np.int64)
    padded = np.full((len(texts), int(lengths.max()) + extra), PAD, np.int64)
    for row, ids in zip(padded, texts, strict=True):
        row[: len(ids)] = ids
    return {"ids": padded, "lengths": lengths}


def fastai_answers(network: nn.Module, texts: Sequence[Ids]) -> npt.NDArray[np.float32]:
    """The outputs of fastai for each text alone, [texts, classes]."""
    with torch.no_grad():
        return np.concatenate([network(torch.from_numpy(ids[None]))[0].numpy() for ids in texts])
