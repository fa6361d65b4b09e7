"""Implementations of fastai's text networks for inference; see `fastai_layers`.

The formulas are those of `fastai/text/models/awdlstm.py` and `core.py` in fastai 2.8. The exported networks answer for
each text as fastai does for that text alone: texts are padded on the right, and `lengths` says where each one ends. So
an answer depends neither on the padding nor on the other texts of a batch; in fastai it may, because its encoder takes
the first rows of a batch for those that are not padded.

Tensors inside of the networks have the axis of time first, as ONNX's LSTM does.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from fastmar_export.errors import UnsupportedModule
from fastmar_export.networks.fastai_layers import NoOp, Prepared, layer

# The input of a gate that closes it: the sigmoid of it is 0 in torch, and below 2e-8 in ONNX Runtime.
_CLOSED = -1e4


@layer("fastai.text.models.awdlstm.RNNDropout")
class RNNDropout(NoOp):
    """Dropout, which inference does not need."""


@layer("fastai.text.models.awdlstm.EmbeddingDropout")
class EmbeddingDropout(nn.Module):
    """An embedding whose dropout inference does not need."""

    emb: nn.Module

    def forward(self, ids: Tensor) -> Tensor:
        """int64 [time, batch] to float32 [time, batch, features]."""
        vectors: Tensor = self.emb(ids)
        return vectors


@layer("fastai.text.models.awdlstm.WeightDropout")
class WeightDropout(Prepared):
    """One LSTM layer for texts of different lengths, without the dropout of its weights.

    Its weights are those of ONNX's LSTM: `w` [1, 4 * hidden, features], `r` [1, 4 * hidden, hidden] and `b`
    [1, 8 * hidden], with the gates in the order input, output, forget, cell; torch's is input, forget, cell, output.
    """

    module: nn.Module
    weight_hh_l0_raw: Tensor  # without dropout; the attribute weight_hh_l0 of `module` is from the last batch
    w: Tensor
    r: Tensor
    b: Tensor

    def prepare(self, where: str) -> None:
        """Replace the recorded LSTM by its weights.

        Raises:
            UnsupportedModule: it is not an LSTM of one layer and one direction.
        """
        lstm = self.module
        if type(lstm) is not nn.LSTM:
            raise UnsupportedModule(
                where, f"fastai's WeightDropout of a {type(lstm).__name__}", why="and only an LSTM is supported in it"
            )
        if lstm.bidirectional:
            raise UnsupportedModule(
                where,
                "an LSTM of two directions",
                why="which fastai runs backwards in each chunk of a text on its own",
                fix="train with bidir=False in the configuration of AWD_LSTM, and export that learner.",
                code="bidirectional_lstm",
            )
        if lstm.num_layers != 1 or lstm.proj_size or not lstm.bias:
            raise UnsupportedModule(where, "an LSTM", why="and must have one layer, biases, and no projection")
        recorded: tuple[Any, ...] = (lstm.weight_ih_l0, self.weight_hh_l0_raw, lstm.bias_ih_l0, lstm.bias_hh_l0)
        w, r, *b = (_reordered(weights.detach(), _TO_ONNX) for weights in recorded)
        del self.module, self.weight_hh_l0_raw
        for name, weights in {"w": w, "r": r, "b": torch.cat(b)}.items():
            self.register_buffer(name, weights[None])

    def add_reset(self) -> None:
        """Add a feature that clears state and output of the layer where it is 1.

        It closes all gates: the new cell is ``forget * cell + input * candidate``, the output ``output * tanh(cell)``.
        """
        closed = torch.full((1, self.w.shape[1], 1), _CLOSED, dtype=self.w.dtype)
        closed[:, -self.w.shape[1] // 4 :] = 0  # the candidate is not a gate
        self.w = torch.cat([self.w, closed], 2)

    def forward(self, x: Tensor, lengths: Tensor, state: tuple[Tensor, ...] = ()) -> tuple[Tensor, Tensor, Tensor]:
        """Run the layer over each text.

        Args:
            x: float32 [time, batch, features].
            lengths: int64 [batch].
            state: h and c before the first token, float32 [batch, hidden] each; zeros if empty.

        Returns:
            Outputs [time, batch, hidden], which are 0 after the end of a text, and h and c [batch, hidden] at its end.
        """
        time, batch, hidden = x.shape[0], x.shape[1], self.r.shape[2]
        if not torch.onnx.is_in_onnx_export():
            return self._run(x, lengths, state or (x.new_zeros(batch, hidden),) * 2)
        # torch's LSTM has a fixed length in a graph.
        y, h, c = torch.onnx.ops.symbolic_multi_out(
            "LSTM",
            (x, self.w, self.r, self.b, lengths.to(torch.int32), *[each[None] for each in state]),
            attrs={"hidden_size": hidden},
            dtypes=(x.dtype,) * 3,
            shapes=((time, 1, batch, hidden), (1, batch, hidden), (1, batch, hidden)),
            version=14,
        )
        return y.squeeze(1), h.squeeze(0), c.squeeze(0)

    def _run(self, x: Tensor, lengths: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor]:
        """`forward` in torch."""
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths.cpu(), enforce_sorted=False)
        order, back = packed.sorted_indices, packed.unsorted_indices
        weights = [_reordered(part, _TO_TORCH) for part in (self.w[0], self.r[0], *self.b[0].chunk(2))]
        before = [each[order][None] for each in state]
        y, h, c = torch.lstm(packed.data, packed.batch_sizes, before, weights, True, 1, 0.0, False, False)
        packed = nn.utils.rnn.PackedSequence(y, packed.batch_sizes, order, back)
        return nn.utils.rnn.pad_packed_sequence(packed, total_length=x.shape[0])[0], h[0][back], c[0][back]


_TO_ONNX, _TO_TORCH = (0, 3, 1, 2), (0, 2, 3, 1)


def _reordered(weights: Tensor, order: tuple[int, ...]) -> Tensor:
    """Weights [4 * hidden, ...] with their gates in another order."""
    gates = weights.chunk(4)
    return torch.cat([gates[each] for each in order])


@layer("fastai.text.models.awdlstm.AWD_LSTM")
class AWDLSTM(nn.Module):
    """An embedding of tokens and LSTM layers (Merity et al. 2017), without dropout."""

    encoder_dp: nn.Module
    rnns: nn.ModuleList

    def forward(self, inputs: tuple[Tensor, ...], reset: Tensor | None = None) -> tuple[Tensor, ...]:
        """Run all layers.

        Args:
            inputs: ids int64 [batch, time], lengths int64 [batch], and h and c of each layer, [batch, hidden] each;
                zeros if they are missing.
            reset: float32 [time, batch, 1], 1 where state and output are 0; needs `WeightDropout.add_reset`.

        Returns:
            Outputs float32 [time, batch, features], lengths, and h and c of each layer at the end of each text.
        """
        ids, lengths, *before = inputs
        x = self.encoder_dp(ids.t())
        after: list[Tensor] = []
        for number, rnn in enumerate(self.rnns):
            if reset is not None:
                x = torch.cat([x, reset], 2)
            x, *state = rnn(x, lengths, tuple(before[2 * number : 2 * number + 2]))
            after += state
        return x, lengths, *after


@layer("fastai.text.models.core.SentenceEncoder")
class SentenceEncoder(Prepared):
    """Runs an `AWDLSTM` over texts, and keeps the outputs of their last chunks.

    fastai runs chunks of `bptt` tokens, with the state of the one before. That equals one run, except where a chunk
    begins with the padding token (the text contains the token `xxpad` there): fastai then takes the text for padding,
    the outputs of the chunk are 0, and the state starts at 0 after it.
    """

    module: nn.Module
    bptt: int
    pad_idx: int
    max_len: int | None

    def prepare(self, where: str) -> None:
        """Add the feature for chunks that begin with padding to each layer.

        Raises:
            UnsupportedModule: the encoder is not an AWD_LSTM, or `max_len` is less than a chunk.
        """
        if self.max_len is not None and self.max_len < self.bptt:
            raise UnsupportedModule(
                where,
                "fastai's SentenceEncoder",
                why=f"with a max_len of {self.max_len}, less than its chunks of {self.bptt} tokens: learn.predict "
                "fails on some texts",
                fix="train with max_len of at least seq_len, and export that learner.",
                code="max_len_too_short",
            )
        if not isinstance(self.module, AWDLSTM):
            raise UnsupportedModule(
                where,
                f"fastai's SentenceEncoder of a {type(self.module).__name__}",
                why="and only an AWD_LSTM is supported in it",
            )
        for rnn in self.module.rnns:
            cast(WeightDropout, rnn).add_reset()

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Encode texts.

        Args:
            inputs: ids int64 [batch, time], padded on the right, and lengths int64 [batch], from 1.

        Returns:
            Outputs float32 [time, batch, features], whether a token is padding [time, batch], and int64 [batch] the
            first kept position and the length of each text. A chunk is kept if the text has at most `max_len` tokens
            from its start on.
        """
        ids, lengths = inputs
        padding = ids.t() == self.pad_idx
        chunk = torch.arange(ids.shape[1], device=ids.device) // self.bptt * self.bptt
        y, *_ = self.module(inputs, padding.index_select(0, chunk).unsqueeze(2).float())
        if self.max_len is None:
            first = torch.zeros_like(lengths)
        else:
            first = ((lengths - self.max_len).clamp(min=0) + self.bptt - 1) // self.bptt * self.bptt
        return y, padding, first, lengths


@layer("fastai.text.models.core.PoolingLinearClassifier")
class PoolingLinearClassifier(nn.Module):
    """The last output, the maximum and the mean of a text, followed by linear layers."""

    layers: nn.Module
    bptt: int

    def forward(self, encoded: tuple[Tensor, Tensor, Tensor, Tensor]) -> Tensor:
        """The output of `SentenceEncoder` to float32 [batch, classes]; NaN for texts without a kept token.

        As in fastai's `masked_concat_pool`, maximum and mean are over the kept tokens that are no padding. The last
        output is that of the last position minus the number of padding tokens in the last `bptt` kept positions.
        """
        y, padding, first, lengths = encoded
        position = torch.arange(y.shape[0], device=y.device)[:, None]
        kept = (position >= first) & (position < lengths)
        real = (kept & ~padding)[:, :, None]
        paddings = (kept & padding & (position >= lengths - self.bptt)).long().sum(0)
        output: Tensor = self.layers(_concat_pool(y, lengths - 1 - paddings, real))
        return output


@layer("fastai.text.models.core.LinearDecoder")
class LinearDecoder(nn.Module):
    """Predicts the next token of a language model; its weight is that of the embedding if they are tied."""

    decoder: nn.Module

    def forward(self, encoded: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Decode the output after the last token of each text.

        Args:
            encoded: the output of `AWDLSTM`.

        Returns:
            Logits float32 [batch, vocabulary], the last output, the maximum and the mean of a text
            [batch, 3 * features], and h and c of each layer.
        """
        y, lengths, *states = encoded
        position = torch.arange(y.shape[0], device=y.device)[:, None]
        pooled = _concat_pool(y, lengths - 1, (position < lengths)[:, :, None])
        return self.decoder(pooled[:, : y.shape[2]]), pooled, *states


def _concat_pool(y: Tensor, last: Tensor, real: Tensor) -> Tensor:
    """The output at `last` [batch], and the maximum and the mean over `real` [time, batch, 1], as one tensor."""
    output = y[last.clamp(min=0), torch.arange(y.shape[1], device=y.device)]
    mean = y.masked_fill(~real, 0).sum(0) / real.long().sum(0)
    largest = y.masked_fill(~real, -float("inf")).amax(0)
    return torch.cat([output, largest, mean], 1)


@layer("fastai.text.models.core.SequentialRNN")
class SequentialRNN(nn.Sequential):
    """Passes all inputs, as one tuple, through its layers."""

    def forward(self, *inputs: Tensor) -> Any:
        """Ids int64 [batch, time], lengths int64 [batch] and states to the output of the last layer.

        Without states, a language model has only its first output, the logits.
        """
        output = super().forward(inputs)  # type: ignore[no-untyped-call]
        return output[0] if isinstance(output, tuple) and len(inputs) == 2 else output


def state_sizes(network: nn.Module) -> dict[str, int]:
    """Names and sizes of the states of a language model, in the order of its inputs and outputs: h0, c0, h1, ...

    Empty for other networks.
    """
    if not any(isinstance(each, LinearDecoder) for each in network.modules()):
        return {}
    layers = [each for each in network.modules() if isinstance(each, WeightDropout)]
    return {f"{name}{number}": each.r.shape[2] for number, each in enumerate(layers) for name in "hc"}
