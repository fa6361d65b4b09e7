"""The picture learner of the benchmarks, and the time of each stage of a prediction.

The learner is cached in `.build/pictures`, so that all measurements use the same one.
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
from examples.caching import cached_folder
from PIL import Image
from rich.table import Table

from fastmar_runtime import payload
from fastmar_runtime.pictures import Picture
from fastmar_runtime.predictor import Predictor
from fastmar_runtime.steps import load_step

CACHE = Path(__file__).resolve().parents[1] / ".build" / "pictures"
PHOTOGRAPHS = ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png"]
COUNT, WIDTH, HEIGHT = 40, 500, 375  # typical of ImageNet
CLASSES = 37
SIZE = 224
STAGES = {"pil_image": "decode", "resize": "resize", "to_tensor": "to an array"}
REPEATS = 3
SEED = 13
ABOUT = (
    f"resnet34 at {SIZE} px, {CLASSES} classes. Its weights are random, except for one epoch that sets the statistics "
    "of batch normalisation. Its answers have no meaning, but must be equal."
)


def benchmark_model() -> textures.BenchmarkModel:
    """The learner with its pictures and answers; trained on the first call."""
    return textures.read(cached_folder(CACHE, _make))


def crop_pictures(folder: Path, count: int = COUNT) -> list[Path]:
    """Write `count` random crops of photographs from scikit-image, as JPEG."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(SEED)
    written = []
    for number in range(count):
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
    from fastai.vision.all import (  # noqa: PLC0415 - slow to import
        CategoryBlock,
        ImageDataLoaders,
        Normalize,
        Resize,
        imagenet_stats,
        resnet34,
        set_seed,
        vision_learner,
    )

    print("Training the picture learner (once; it is cached in .build/pictures) ...", flush=True)
    paths = crop_pictures(folder / textures.TEST_PICTURES)
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
    """The sizes of the pictures, as text."""
    kilobytes = [path.stat().st_size / 1024 for path in paths]
    return f"JPEG of {WIDTH} x {HEIGHT} px and {min(kilobytes):.0f} to {max(kilobytes):.0f} KB"


def stages(archive: Path, paths: list[Path], threads: int) -> dict[str, float]:
    """Milliseconds of each stage for one picture at a time, in this process: medians over `REPEATS` rounds."""
    predictor = Predictor.open(archive, threads=threads)
    steps = [(STAGES.get(state["step"], state["step"]), load_step(state)) for state in predictor.spec.steps]
    rounds: dict[str, list[float]] = {}

    def lap(stage: str, since: float) -> float:
        now = perf_counter()
        rounds.setdefault(stage, []).append(1000 * (now - since))
        return now

    for data in [path.read_bytes() for path in paths] * REPEATS:
        picture: Any = Picture(data)
        now = perf_counter()
        for stage, step in steps:
            picture = step(picture)
            now = lap(stage, now)
        predictor.run({predictor.spec.inputs[0].name: picture.image[None]})
        lap("graph", now)
        request = payload.read(data, "image/jpeg", predictor.spec)
        now = perf_counter()
        payload.write(request, predictor.predict(request.records), predictor.spec)
        lap("all", now)
    times = {stage: median(laps) for stage, laps in rounds.items()}
    whole = times.pop("all")
    return {**times, "answer": max(0.0, whole - sum(times.values()))}


def stages_table(times: dict[str, float]) -> Table:
    """The times of the stages, and their shares."""
    total = sum(times.values())
    title = f"Stages of a picture, in one process without a server: {total:.1f} ms"
    table = Table("stage", title=title, title_justify="left")
    for column in ("ms", "share"):
        table.add_column(column, justify="right")
    for stage, time in times.items():
        table.add_row(stage, f"{time:.2f}", f"{time / total:.0%}")
    return table
