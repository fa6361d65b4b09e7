"""Measures the resident memory of a process that predicts texts of random length.

    python -m benchmarks.text_memory [--texts N] [--words N] [--large]

The network is the one of `examples.reviews`, or with `--large` fastai's default AWD_LSTM with random weights. The first
text is the longest; the other lengths are uniform in their logarithm. One word in ten is new, so that a cache of words
would show. The predictor has the threads of the asgi engine. Prints megabytes after shares of the texts.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

from fastmar_runtime.memory import release_freed
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.turns import MAX_THREADS
from fastmar_serving.settings import cores

_WORDS = ["the", "film", "was", "good", "Bad", "acting", "and", "plot", "it", "boring", ",", "."]
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SEED = 4
_LINES = 20  # of the report
_NEW = 0.1  # share of words that no text had before


def export(folder: str, large: bool) -> None:
    """Export a learner to ``model.mar`` in `folder`."""
    from examples.reviews import TARGET, TEXT, benchmark_model, table  # noqa: PLC0415 - only in the child process

    from fastmar_export.exporter import Options, export_learner  # noqa: PLC0415

    learner = Path(folder, "learner.pkl")
    if large:
        from fastai.text.all import AWD_LSTM, TextDataLoaders, text_classifier_learner  # noqa: PLC0415

        loaders = TextDataLoaders.from_df(table(), text_col=TEXT, label_col=TARGET, num_workers=0)
        text_classifier_learner(loaders, AWD_LSTM, pretrained=False).export(learner)
    else:
        learner = benchmark_model().learner
    export_learner(learner, Options("model", output=Path(folder)))


def words(generator: random.Random, count: int) -> Iterator[str]:
    """`count` words, of which a share of `_NEW` is letters by chance."""
    for word in generator.choices(_WORDS, k=count):
        yield f"w{generator.getrandbits(48):x}" if generator.random() < _NEW else word


def megabytes() -> float:
    """The resident memory of this process."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--words", type=int, default=20_000, help="of the longest text")
    parser.add_argument("--large", action="store_true", help="measure fastai's default network")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        child = get_context("spawn").Process(target=export, args=(folder, options.large))
        child.start()
        child.join()
        predictor = Predictor.open(Path(folder) / "model.mar", threads=min(cores(), MAX_THREADS))
    release_freed()  # as the workers do after loading
    print(f"loaded: {megabytes():,.0f} MB", flush=True)
    generator = random.Random(_SEED)
    lengths = [options.words, *(int(options.words ** generator.random()) for _ in range(options.texts - 1))]
    start = time.perf_counter()
    for number, length in enumerate(lengths, 1):
        predictor.predict([" ".join(words(generator, length))])
        if number == 1 or number % max(1, options.texts // _LINES) == 0:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
            seconds = time.perf_counter() - start
            print(f"{number:,} texts: {megabytes():,.0f} MB, peak {peak:,.0f} MB, {seconds:,.0f} s", flush=True)


if __name__ == "__main__":
    main()
