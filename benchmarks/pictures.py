"""The picture learner that is measured, and how long a picture spends at each station on its way to an answer.

Kept in `.build/pictures`, so that what is measured today and tomorrow is the same.
"""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from examples import textures
from examples.made_once import made_once
from PIL import Image
from rich.table import Table

from fastmar_runtime import payload
from fastmar_runtime.pictures import Picture
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.steps import load_step

CACHE = Path(__file__).resolve().parents[1] / ".build" / "pictures"
PHOTOGRAPHS = ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png"]
COUNT, WIDTH, HEIGHT = 40, 500, 375  # as large as most of ImageNet
CLASSES = 37
SIZE = 224
STATIONS = {"pil_image": "decode", "resize": "resize", "to_tensor": "to an array"}
REPEATS = 3
SEED = 13
ABOUT = (
    f"resnet34 at {SIZE} px, {CLASSES} classes. Its weights are random, but for one epoch that lets batch "
    "normalisation see pictures: what it answers means nothing, and has to be equal."
)


def served() -> textures.Served:
    """The learner with its pictures and answers; made the first time."""
    return textures.read(made_once(CACHE, _make))


def cut(folder: Path) -> list[Path]:
    """Pieces of photographs that scikit-image ships, as JPEG."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(SEED)
    written = []
    for number in range(COUNT):
        with Image.open(str(files("skimage.data") / PHOTOGRAPHS[number % len(PHOTOGRAPHS)])) as file:
            photograph = file.convert("RGB")
        width = int(random.integers(photograph.width // 2, photograph.width + 1))
        height = min(photograph.height, width * HEIGHT // WIDTH)
        x, y = (int(random.integers(room + 1)) for room in (photograph.width - width, photograph.height - height))
        path = folder / f"{number:02}.jpg"
        photograph.resize((WIDTH, HEIGHT), box=(x, y, x + width, y + height)).save(path, quality=90)
        written.append(path)
    return written


def _make(folder: Path) -> None:
    from fastai.vision.all import (  # noqa: PLC0415 - slow to import, and needed once
        CategoryBlock,
        ImageDataLoaders,
        Normalize,
        Resize,
        imagenet_stats,
        resnet34,
        set_seed,
        vision_learner,
    )

    print("Making the picture learner (once; it is kept in .build/pictures) ...", flush=True)
    paths = cut(folder / "asked")
    set_seed(SEED, reproducible=True)
    loaders = ImageDataLoaders.from_lists(
        folder,
        paths,
        [f"class {position % CLASSES}" for position in range(len(paths))],
        valid_pct=0.1,
        y_block=CategoryBlock(vocab=[f"class {number}" for number in range(CLASSES)]),
        item_tfms=Resize(SIZE),
        batch_tfms=[Normalize.from_stats(*imagenet_stats)],
        bs=12,
        num_workers=0,
    )
    learn = vision_learner(loaders, resnet34, pretrained=False, n_out=CLASSES, path=folder)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-4)
        learn.export("learner.pkl")
        answers = {path.name: textures.predict(learn, path.read_bytes()) for path in paths}
    (folder / "answers.json").write_text(json.dumps(answers), "utf-8")


def sizes(paths: list[Path]) -> str:
    """How large the pictures are, for people."""
    kilobytes = [path.stat().st_size / 1024 for path in paths]
    return f"JPEG of {WIDTH} x {HEIGHT} px and {min(kilobytes):.0f} to {max(kilobytes):.0f} KB"


def stations(archive: Path, paths: list[Path], threads: int) -> dict[str, float]:
    """Milliseconds of a picture at each station, one at a time in this process: medians over `REPEATS` rounds."""
    predictor = Predictor.open(archive, threads=threads)
    steps = [(STATIONS.get(state["step"], state["step"]), load_step(state)) for state in predictor.spec.steps]
    rounds: dict[str, list[float]] = {}

    def lap(station: str, since: float) -> float:
        now = perf_counter()
        rounds.setdefault(station, []).append(1000 * (now - since))
        return now

    for data in [path.read_bytes() for path in paths] * REPEATS:
        picture: Any = Picture(data)
        now = perf_counter()
        for station, step in steps:
            picture = step(picture)
            now = lap(station, now)
        predictor.run({predictor.spec.inputs[0].name: picture.image[None]})
        lap("graph", now)
        request = payload.read(data, "image/jpeg", predictor.spec)
        now = perf_counter()
        payload.write(request, predictor.predict(request.records), predictor.spec)
        lap("all", now)
    times = {station: median(laps) for station, laps in rounds.items()}
    whole = times.pop("all")
    return {**times, "answer": max(0.0, whole - sum(times.values()))}


def stations_table(times: dict[str, float], connections: int) -> Table:
    """The time of a lone request, and what share of it each station has."""
    total = sum(times.values())
    title = f"A picture's way at {connections} connection{'s' if connections > 1 else ''}: {total:.1f} ms"
    table = Table("station", title=title, title_justify="left")
    for column in ("ms", "share"):
        table.add_column(column, justify="right")
    for station, time in times.items():
        table.add_row(station, f"{time:.2f}", f"{time / total:.0%}")
    return table
