"""The whole way, for a table and for pictures: train, export, serve with TorchServe, ask, compare with fastai."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from examples import flights, textures
from fastmar_client import Client
from fastmar_serving.torchserve.testing import running_server

STORE = Path(".build/demo/model_store")
SHEETS = Path(".build/demo/pictures")
SHOWN = 3
TOLERANCE = 1e-5  # of a probability

Answer = dict[str, Any]


def say(text: str) -> None:
    """Print at once: the output of commands comes in between."""
    print(text, flush=True)


def run(*command: str) -> None:
    """Show a command and run it."""
    say(f"\n$ {shlex.join(command)}")
    subprocess.run([sys.executable, "-m", "fastmar_cli.main", *command[1:]], check=True)  # noqa: S603 - fastmar itself


def main() -> None:
    """Print a transcript; raise where an answer is not fastai's."""
    warnings.simplefilter("ignore")  # fastai's, of torch and pandas: nothing that a reader of this could mend
    table, pictures = flights.served(), textures.served()
    say(f"A learner that tells late flights, trained with fastai: {table.learner}")
    say(f"A learner that tells brick, grass and gravel, trained with fastai: {pictures.learner}")
    run("fastmar", "export", str(table.learner), "--name", flights.NAME, "--output", str(STORE))
    run("fastmar", "export", str(pictures.learner), "--name", textures.NAME, "--output", str(STORE))
    say(f"\n$ fastmar serve --model-store {STORE}")
    with running_server(STORE) as server, Client(server.url) as client:
        say("\n".join(server.lines))
        for record, expected in list(zip(table.records, table.answers, strict=True))[:SHOWN]:
            show(json.dumps(record), client.predict(flights.NAME, record), expected)
        # One picture of each texture; a picture is asked for by its path.
        each = len(pictures.pictures) // len(textures.TEXTURES)
        for path, expected in list(zip(pictures.pictures, pictures.answers, strict=True))[::each]:
            show(path.name, client.predict(textures.NAME, path), expected)
        of_flights = compare(client.predict_many(flights.NAME, table.records), table.answers)
        of_pictures = compare(client.predict_many(textures.NAME, pictures.pictures), pictures.answers)
        url = f"{server.url}/predictions/{textures.NAME}"
        run("fastmar", "predict", url, *map(str, pictures.pictures[::each]), "--save", str(SHEETS))
    say("\nAsked over HTTP: same labels as learn.predict.")
    say(f"{len(table.records)} flights, largest difference of a probability {of_flights:.1g}")
    say(f"{len(pictures.pictures)} pictures, largest difference of a probability {of_pictures:.1g}")
    say("The server has stopped.")


def show(asked: str, answer: Answer, expected: Answer) -> None:
    """One question, its answer, and fastai's."""
    say(f"\nasked    {asked}")
    say(f"answered {json.dumps(answer)}")
    say(f"fastai's learn.predict: {expected['prediction']}, {json.dumps(expected['probabilities'])}")


def compare(answers: Iterable[Answer], expected: list[Answer]) -> float:
    """Largest difference of a probability between the server's answers and fastai's."""
    largest = 0.0
    for ours, theirs in zip(answers, expected, strict=True):
        probabilities = theirs["probabilities"]
        different = max(abs(ours["probabilities"][label] - p) for label, p in probabilities.items())
        if ours["prediction"] != theirs["prediction"] or different > TOLERANCE:
            raise SystemExit(f"The server answers {ours}, fastai {theirs}.")
        largest = max(largest, different)
    return largest


if __name__ == "__main__":
    main()
