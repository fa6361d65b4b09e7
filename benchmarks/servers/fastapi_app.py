"""FastAPI with hand-written preprocessing; the environment has the model's folder and the number of its threads.

MODEL=FOLDER THREADS=1 uvicorn benchmarks.servers.fastapi_app:app --workers 2
"""

from __future__ import annotations

import os
from pathlib import Path

import orjson
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool

from benchmarks.servers.by_hand import open_model

app = FastAPI()
model = open_model(Path(os.environ["MODEL"]), int(os.environ["THREADS"]))


@app.post("/predictions/{name}")
async def predict(request: Request) -> Response:
    """Answer a record; a slow model in a thread, so that the next request is read meanwhile."""
    body = await request.body()
    if model.is_slow:
        answers = await run_in_threadpool(model.answer, [body])
    else:
        answers = model.answer([orjson.loads(body)])
    return Response(orjson.dumps(answers[0]), media_type="application/json")
