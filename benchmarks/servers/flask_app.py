"""A typical deployment: a Flask app with `learn.predict`.

    python -m benchmarks.servers.flask_app LEARNER.pkl --port 8080 [--pictures]

The lock is required because `learn.predict` is not thread-safe: it stores data and callbacks in the learner. `no_bar`
disables the progress bar of each request.
"""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import Any

from examples import flights, reviews, textures
from fastai.vision.all import load_learner
from flask import Flask, request
from waitress import serve


def make_app(learner: Path, *, pictures: bool) -> Flask:
    """Create the app; a request is a picture's file, or a record or text in JSON."""
    app = Flask(__name__)
    learn = load_learner(learner)
    lock = threading.Lock()

    @app.post(f"/predictions/{flights.NAME}")
    def answer() -> dict[str, Any]:
        sent = request.get_data() if pictures else request.get_json()
        with lock, learn.no_bar(), learn.no_logging():
            if pictures:
                return textures.predict(learn, sent)
            return reviews.predict(learn, sent) if isinstance(sent, str) else flights.predict(learn, sent)

    return app


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("learner", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pictures", action="store_true", help="requests are pictures")
    args = parser.parse_args()
    serve(make_app(args.learner, pictures=args.pictures), host="127.0.0.1", port=args.port)


if __name__ == "__main__":
    main()
