"""Measures how much `--precision int8` changes the answers of a trained classifier of full size.

    python -m benchmarks.text_precision

Trains fastai's AWD_LSTM with its usual sizes (embeddings of 400, three layers of 1152) on the film reviews of
`examples.reviews`; the learner is cached in `.build/full_reviews`. Prints the notice that the export measures on
sentences outside of the training data, the accuracy in both precisions, and the sizes of the archives.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from examples.caching import cached_folder
from examples.reviews import SEED, TARGET, TEXT, table

from fastmar_export.exporter import Options, export_learner
from fastmar_runtime.predictor import Predictor

CACHE = Path(__file__).resolve().parents[1] / ".build" / "full_reviews"
HELD_OUT = 1000  # sentences
EPOCHS = 2


def main() -> None:
    """Train, export in both precisions, and print the comparison."""
    learner = cached_folder(CACHE, _train) / "learner.pkl"
    held_out = table()[:HELD_OUT]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        held_out[[TEXT]].to_csv(folder / "texts.csv", index=False)
        exact = export_learner(learner, Options("exact", output=folder))
        options = Options("int8", output=folder, precision="int8", reference=folder / "texts.csv", max_changed=1.0)
        reduced = export_learner(learner, options)
        for result in (exact, reduced):
            answers = Predictor.open(result.path).predict(held_out[TEXT].tolist())
            right = sum(each["prediction"] == label for each, label in zip(answers, held_out[TARGET], strict=True))
            size = result.path.stat().st_size / 2**20
            print(f"{result.path.stem}: accuracy {right / len(held_out):.1%}, archive {size:.0f} MiB")
        print(reduced.spec.notices[-1]["message"])


def _train(folder: Path) -> None:
    from fastai.text.all import (  # noqa: PLC0415 - slow to import
        AWD_LSTM,
        TextDataLoaders,
        awd_lstm_clas_config,
        set_seed,
        text_classifier_learner,
    )

    print("Training the learner (only the first time; it takes about 15 minutes on two cores) ...", flush=True)
    set_seed(SEED, reproducible=True)
    loaders = TextDataLoaders.from_df(
        table()[HELD_OUT:].reset_index(drop=True),
        path=folder,
        text_col=TEXT,
        label_col=TARGET,
        valid_pct=0.1,
        seed=SEED,
        bs=64,
        num_workers=0,
    )
    learn = text_classifier_learner(
        loaders, AWD_LSTM, config=dict(awd_lstm_clas_config), pretrained=False, drop_mult=0.3, path=folder
    )
    with learn.no_bar():
        learn.fit_one_cycle(EPOCHS, 5e-3)
        learn.export("learner.pkl")


if __name__ == "__main__":
    main()
