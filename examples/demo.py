"""The whole way in one go: train on real flights, export, serve with TorchServe, ask over HTTP, compare with fastai."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

from examples.flights import NAME, served
from fastmar_cli.server.testing import running_server
from fastmar_client import Client

STORE = Path(".build/demo/model_store")
SHOWN = 4


def say(text: str) -> None:
    """Print at once: the output of commands comes in between."""
    print(text, flush=True)


def run(*command: str) -> None:
    """Show a command and run it."""
    say(f"\n$ {shlex.join(command)}")
    subprocess.run([sys.executable, "-m", "fastmar_cli.main", *command[1:]], check=True)  # noqa: S603 - fastmar itself


def main() -> None:
    """Print a transcript; raise where an answer is not fastai's."""
    learner = served()
    say(f"A learner that tells late flights, trained with fastai: {learner.learner}")
    run("fastmar", "export", str(learner.learner), "--name", NAME, "--output", str(STORE))
    say(f"\n$ fastmar serve --model-store {STORE}")
    with running_server(STORE) as server:
        say("\n".join(server.lines))
        client = Client(server.url)
        for record, expected in list(zip(learner.records, learner.answers, strict=True))[:SHOWN]:
            answer = client.predict(NAME, record)
            say(f"\nasked    {json.dumps(record)}")
            say(f"answered {json.dumps(answer)}")
            say(f"fastai's learn.predict: {expected['prediction']}, {json.dumps(expected['probabilities'])}")
        compared = compare(client, learner.records, learner.answers)
    same = f"{len(learner.records)} flights asked over HTTP: same labels as learn.predict"
    say(f"\n{same}, largest difference of a probability {compared:.1g}. The server has stopped.")


def compare(client: Client, records: list[dict], answers: list[dict]) -> float:
    """Largest difference of a probability between the server's answers and fastai's."""
    largest = 0.0
    for ours, theirs in zip(client.predict_many(NAME, records), answers, strict=True):
        if ours["prediction"] != theirs["prediction"]:
            raise SystemExit(f"The server answers {ours}, fastai {theirs}.")
        probabilities = theirs["probabilities"]
        largest = max(largest, *(abs(ours["probabilities"][label] - p) for label, p in probabilities.items()))
    return largest


if __name__ == "__main__":
    main()
