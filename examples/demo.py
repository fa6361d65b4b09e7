"""Demo with a table, pictures and texts: train, export, serve with TorchServe, predict, compare with fastai."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from examples import flights, reviews, textures
from fastmar_client import Client
from fastmar_serving.testing import running_server

STORE = Path(".build/demo/model_store")
SHEETS = Path(".build/demo/pictures")
PRINTED_RECORDS = 3
TOLERANCE = 1e-5  # of a probability

NEXT = f"""
Next: open the forms of these three models. `fastmar serve` and `fastmar web` keep running, so use two terminals.
  source .venv/bin/activate                       # in each terminal
  fastmar serve --model-store {STORE}
  fastmar web --open

Next: export and serve your own learner.
  learn.export("learner.pkl")                     # in your notebook; fastai writes it into the folder learn.path
  fastmar inspect FOLDER/learner.pkl              # shows what the pickle contains; fastmar does not run it
  fastmar export FOLDER/learner.pkl --name NAME   # writes model_store/NAME.mar
  fastmar serve                                   # serves model_store/; stop the server of the demo first
More in README.md and docs/export.md."""

Answer = dict[str, Any]


def say(text: str) -> None:
    """Print and flush, since commands write to the same terminal."""
    print(text, flush=True)


def run(*command: str) -> None:
    """Print a command and run it."""
    say(f"\n$ {shlex.join(command)}")
    subprocess.run([sys.executable, "-m", "fastmar_cli.main", *command[1:]], check=True)  # noqa: S603 - runs fastmar


def main() -> None:
    """Print a transcript; exit with an error if an answer differs from fastai's."""
    warnings.simplefilter("ignore")  # of fastai, torch and pandas
    say("Loading fastai and three learners, which takes two minutes or more the first time ...")
    table, pictures, texts = flights.benchmark_model(), textures.benchmark_model(), reviews.benchmark_model()
    say(f"A tabular learner for late flights, trained with fastai: {table.learner}")
    say(f"A picture learner for brick, grass and gravel, trained with fastai: {pictures.learner}")
    say(f"A text learner for sentences of film reviews, trained with fastai: {texts.learner}")
    run("fastmar", "export", str(table.learner), "--name", flights.NAME, "--output", str(STORE))
    run("fastmar", "export", str(pictures.learner), "--name", textures.NAME, "--output", str(STORE))
    run("fastmar", "export", str(texts.learner), "--name", reviews.NAME, "--output", str(STORE))
    say(f"\n$ fastmar serve --model-store {STORE}")
    with running_server(STORE) as server, Client(server.url) as client:
        say("\n".join(server.lines))
        for record, expected in list(zip(table.records, table.answers, strict=True))[:PRINTED_RECORDS]:
            show(json.dumps(record), client.predict(flights.NAME, record), expected)
        # One picture of each texture, passed as its path.
        count = len(pictures.pictures) // len(textures.TEXTURES)
        for path, expected in list(zip(pictures.pictures, pictures.answers, strict=True))[::count]:
            show(path.name, client.predict(textures.NAME, path), expected)
        for text, expected in list(zip(texts.texts, texts.answers, strict=True))[:PRINTED_RECORDS]:
            show(text, client.predict(reviews.NAME, text), expected)
        say("\nComparing all answers with learn.predict ...")
        of_flights = compare(client.predict_many(flights.NAME, table.records), table.answers)
        of_pictures = compare(client.predict_many(textures.NAME, pictures.pictures), pictures.answers)
        of_texts = compare(client.predict_many(reviews.NAME, texts.texts), texts.answers)
        url = f"{server.url}/predictions/{textures.NAME}"
        run("fastmar", "predict", url, *map(str, pictures.pictures[::count]), "--save", str(SHEETS))
    say("\nOver HTTP: same labels as learn.predict.")
    say(f"{len(table.records)} flights, largest difference of a probability {of_flights:.1g}")
    say(f"{len(pictures.pictures)} pictures, largest difference of a probability {of_pictures:.1g}")
    say(f"{len(texts.texts)} sentences, largest difference of a probability {of_texts:.1g}")
    say("The server has stopped.")
    say(NEXT)


def show(record: str, answer: Answer, expected: Answer) -> None:
    """Print a record, its answer, and fastai's."""
    say(f"\nrecord: {record}")
    say(f"answer: {json.dumps(answer)}")
    say(f"fastai's learn.predict: {expected['prediction']}, {json.dumps(expected['probabilities'])}")


def compare(answers: Iterable[Answer], expected: list[Answer]) -> float:
    """Largest difference of a probability between the server's answers and fastai's."""
    largest = 0.0
    for actual, right in zip(answers, expected, strict=True):
        difference = max(abs(actual["probabilities"][label] - p) for label, p in right["probabilities"].items())
        if actual["prediction"] != right["prediction"] or difference > TOLERANCE:
            raise SystemExit(f"The server answers {actual}, fastai {right}.")
        largest = max(largest, difference)
    return largest


if __name__ == "__main__":
    main()
