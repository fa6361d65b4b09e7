"""Deploy and roll back a model under load, from 8 threads: `python -m examples.lifecycle`."""

from __future__ import annotations

import threading
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from examples import flights
from examples.demo import run, say
from fastmar_client import Client, ClientError
from fastmar_serving.testing import running_server

HOME = Path(".build/lifecycle")
STORE, NEW = HOME / "model_store", HOME / "new"
THREADS = 8


def main() -> None:
    """Print a transcript; exit with an error if a request fails."""
    warnings.simplefilter("ignore")  # of fastai, torch and pandas
    first, second = flights.benchmark_model(), flights.retrained()
    for path in [*STORE.glob("*.*"), *NEW.glob("*.*")]:
        path.unlink()
    run("fastmar", "export", str(first.learner), "--name", flights.NAME, "--output", str(STORE))
    run("fastmar", "export", str(second), "--name", flights.NAME, "--version", "2.0", "--output", str(NEW))
    requests = HOME / "requests.json"
    requests.write_bytes(first.learner.with_name("records.json").read_bytes())
    say(f"\n$ fastmar serve --model-store {STORE}")
    with running_server(STORE) as server:
        say("\n".join(server.lines))
        url = ["--url", server.url]
        with load(server.url, first) as counts:
            run("fastmar", "deploy", str(NEW / "flights.mar"), "--requests", str(requests), *url)
            run("fastmar", "models", *url)
            run("fastmar", "rollback", flights.NAME, *url)
    say(f"\nAnswers to {THREADS} threads during deploy and rollback: {dict(counts)}")
    if set(counts) != {"late", "on time"}:
        raise SystemExit("Requests failed.")


@contextmanager
def load(url: str, model: flights.BenchmarkModel) -> Iterator[Counter[str]]:
    """Send requests from several threads during a `with` block; yields the counts of predictions and errors."""
    stop = threading.Event()
    counts: Counter[str] = Counter()

    def send_requests(client: Client) -> None:
        while not stop.is_set():
            for record in model.records[:64]:
                try:
                    counts[client.predict(flights.NAME, record)["prediction"]] += 1
                except ClientError as error:
                    counts[str(error)] += 1

    with Client(url) as client, ThreadPoolExecutor(THREADS) as pool:
        for _ in range(THREADS):
            pool.submit(send_requests, client)
        try:
            yield counts
        finally:
            stop.set()


if __name__ == "__main__":
    main()
