"""Implementations of fastai's networks for texts, for inference; see `fastai_layers`.

The formulas are those of `fastai/text/models/` in fastai 2.8. fastai feeds a text to the network in chunks of `bptt`
ids, each with the state after the chunk before. Here the whole text is fed at once. Texts of a batch are padded on the
right, and an output never depends on the padding or on other texts: it is fastai's output for the text alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fastmar_export.errors import UnsupportedModule
from fastmar_export.networks.fastai_layers import layer

_CLOSED = -1e4  # input of a gate that closes it: its sigmoid is 0 in float32
_LSTM_OPSET = 14  # version of ONNX's operator


@dataclass(frozen=True, slots=True)
class Encoded:
    """The encoder's output.

    Attributes:
        output: float32 [batch, time, features].
        kept: bool [batch, time]: ids of the text that are no padding and within `max_len` from the end.
        last: int64 [batch]: position of the output that fastai takes as the last one.
    """

    output: Tensor
    kept: Tensor
    last: Tensor


@layer("fastai.text.models.core.SequentialRNN")
class SequentialRNN(nn.Sequential):
    """An encoder and a classifier."""

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:  # type: ignore[override]
        """The outputs, float32 [batch, outputs].

        Args:
            ids: int64 [batch, time], padded on the right.
            lengths: of the texts, int64 [batch], at least 1.
        """
        encoder, classifier = self
        result: Tensor = classifier(encoder(ids, lengths))
        return result


@layer("fastai.text.models.core.SentenceEncoder")
class SentenceEncoder(nn.Module):
    """Encodes texts of any length."""

    module: nn.Module
    bptt: int
    pad_idx: int
    max_len: int | None

    def forward(self, ids: Tensor, lengths: Tensor) -> Encoded:
        """See `SequentialRNN.forward`.

        A text may contain the id of the padding, as the literal `xxpad`. fastai excludes it from the pools. If it is
        the first of a chunk, fastai skips the chunk (its outputs are 0) and resets the state.
        """
        if self.max_len is not None and self.max_len < self.bptt:
            raise UnsupportedModule(
                "model[0]",
                "fastai.text.models.core.SentenceEncoder",
                why=f"whose max_len of {self.max_len} is less than its chunks of {self.bptt} ids, so that "
                "learn.predict fails on some texts",
                fix="train with max_len of at least seq_len, and export that learner.",
            )
        time = torch.arange(ids.shape[1], device=ids.device)
        chunk = time // self.bptt * self.bptt  # position of the first id of each id's chunk
        lengths = lengths[:, None]
        is_pad = ids == self.pad_idx
        skipped = is_pad[:, chunk]
        is_text = time[None] < lengths
        if self.max_len is not None:  # fastai keeps chunks that begin at most max_len before the end
            is_text = is_text & (chunk[None] >= lengths - self.max_len)
        # fastai counts the padding in the last bptt ids, and takes the output that many places before the end.
        pads_at_end = (is_pad & is_text & (time[None] >= lengths - self.bptt)).sum(1)
        last = (lengths[:, 0] - 1 - pads_at_end).clamp(min=0)
        return Encoded(self.module(ids, lengths[:, 0], skipped), is_text & ~is_pad, last)


@layer("fastai.text.models.core.PoolingLinearClassifier")
class PoolingLinearClassifier(nn.Module):
    """Linear layers on the last output, the maximum and the mean of all outputs (`masked_concat_pool`)."""

    layers: nn.Module

    def forward(self, encoded: Encoded) -> Tensor:
        """The encoder's output to float32 [batch, outputs]."""
        output, kept = encoded.output, encoded.kept[:, :, None]
        mean = output.masked_fill(~kept, 0).sum(1) / kept.sum(1)
        largest = output.masked_fill(~kept, -float("inf")).amax(1)
        rows = torch.arange(output.shape[0], device=output.device)
        result: Tensor = self.layers(torch.cat([output[rows, encoded.last], largest, mean], 1))
        return result


@layer("fastai.text.models.awdlstm.AWD_LSTM")
class AWD_LSTM(nn.Module):  # noqa: N801 - fastai's name
    """An embedding and LSTM layers; the dropouts between them do nothing in inference."""

    encoder: nn.Module
    rnns: nn.ModuleList

    def forward(self, ids: Tensor, lengths: Tensor, skipped: Tensor) -> Tensor:
        """The outputs after each id, float32 [batch, time, features].

        Args:
            ids: int64 [batch, time].
            lengths: int64 [batch].
            skipped: bool [batch, time]; at these ids the output and the state are 0.
        """
        output: Tensor = self.encoder(ids)
        for rnn in self.rnns:
            output = rnn(output, lengths, skipped)
        return output


@layer("fastai.text.models.awdlstm.EmbeddingDropout", "fastai.text.models.awdlstm.RNNDropout")
class TrainingDropout(nn.Module):
    """A dropout that `AWD_LSTM` does not call in inference."""


@layer("fastai.text.models.awdlstm.WeightDropout")
class WeightDropout(nn.Module):
    """An LSTM layer whose recurrent weights are recorded in the wrapper, as `weight_hh_l0_raw`."""

    module: Any
    weight_hh_l0_raw: Tensor

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Remove fastai's replacement of `flatten_parameters`, a function that does nothing."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.module.__dict__.pop("flatten_parameters", None)

    def forward(self, x: Tensor, lengths: Tensor, skipped: Tensor) -> Tensor:
        """The outputs, float32 [batch, time, hidden], for x, float32 [batch, time, features]; see `AWD_LSTM`."""
        lstm = self.module
        if not _is_one_layer(lstm):
            raise UnsupportedModule(
                "model[0].module.rnns",
                "fastai.text.models.awdlstm.AWD_LSTM",
                why="with bidir=True or with layers other than fastai's",
                fix="train with the default configuration of AWD_LSTM, and export that learner.",
            )
        # A feature of its own closes the gates of input, forget and output at skipped ids: state and output become 0.
        size = lstm.hidden_size
        closed = x.new_full((4 * size, 1), _CLOSED)
        closed[2 * size : 3 * size] = 0  # torch's order is input, forget, cell, output
        weight = torch.cat([lstm.weight_ih_l0, closed], 1)
        x = torch.cat([x, skipped[:, :, None].to(x.dtype)], 2)
        weights = (weight, self.weight_hh_l0_raw, lstm.bias_ih_l0, lstm.bias_hh_l0)
        return _onnx_lstm(x, lengths, weights) if torch.onnx.is_in_onnx_export() else _torch_lstm(x, weights)


def _is_one_layer(lstm: nn.Module) -> bool:
    return isinstance(lstm, nn.LSTM) and lstm.num_layers == 1 and lstm.bias and not lstm.bidirectional


def _torch_lstm(x: Tensor, weights: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    state = x.new_zeros(1, x.shape[0], weights[1].shape[1])
    output: Tensor = torch.lstm(x, (state, state), weights, True, 1, 0.0, False, False, True)[0]
    return output


def _onnx_lstm(x: Tensor, lengths: Tensor, weights: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
    """ONNX's operator LSTM. torch's own translation of an LSTM fixes the length of texts."""
    weight, recurrent, input_bias, recurrent_bias = (_onnx_order(each) for each in weights)
    batch, time, size = x.shape[0], x.shape[1], recurrent.shape[1]
    output, _, _ = torch.onnx.ops.symbolic_multi_out(
        "LSTM",
        (
            x.transpose(0, 1),
            weight[None],
            recurrent[None],
            torch.cat([input_bias, recurrent_bias])[None],
            lengths.to(torch.int32),
        ),
        attrs={"hidden_size": size},
        dtypes=(torch.float32, torch.float32, torch.float32),
        shapes=((time, 1, batch, size), (1, batch, size), (1, batch, size)),
        version=_LSTM_OPSET,
    )
    return output[:, 0].transpose(0, 1)


def _onnx_order(weight: Tensor) -> Tensor:
    """Reorder the gates: torch has input, forget, cell, output; ONNX has input, output, forget, cell."""
    i, f, c, o = weight.chunk(4)
    return torch.cat([i, o, f, c])
