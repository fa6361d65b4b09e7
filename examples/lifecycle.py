"""A model is replaced while 8 streams ask it, and brought back: `python -m examples.lifecycle`."""

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
from fastmar_serving.torchserve.testing import running_server

HOME = Path(".build/lifecycle")
STORE, NEW = HOME / "model_store", HOME / "new"
STREAMS = 8


def main() -> None:
    """Print a transcript; raise where a request fails."""
    warnings.simplefilter("ignore")  # fastai's, of torch and pandas: nothing that a reader of this could mend
    first, second = flights.served(), flights.retrained()
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
        with asked(server.url, first) as counted:
            run("fastmar", "deploy", str(NEW / "flights.mar"), "--requests", str(requests), *url)
            run("fastmar", "models", *url)
            run("fastmar", "rollback", flights.NAME, *url)
    say(f"\nWhat {STREAMS} streams of requests got meanwhile: {dict(counted)}")
    if set(counted) != {"late", "on time"}:
        raise SystemExit("Requests failed.")


@contextmanager
def asked(url: str, served: flights.Served) -> Iterator[Counter[str]]:
    """Ask in streams as long as this lasts; the value counts what came back."""
    stop = threading.Event()
    counted: Counter[str] = Counter()

    def ask(client: Client) -> None:
        while not stop.is_set():
            for record in served.records[:64]:
                try:
                    counted[client.predict(flights.NAME, record)["prediction"]] += 1
                except ClientError as error:
                    counted[str(error)] += 1

    with Client(url) as client, ThreadPoolExecutor(STREAMS) as pool:
        for _ in range(STREAMS):
            pool.submit(ask, client)
        try:
            yield counted
        finally:
            stop.set()


if __name__ == "__main__":
    main()
