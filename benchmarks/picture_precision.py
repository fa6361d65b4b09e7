"""Measures picture models in int8: pictures per second, and changed labels.

    python -m benchmarks.picture_precision

Two learners: `textures` (EfficientNet-Lite0 at 128 px, pretrained and trained, so that its labels have a meaning), and
resnet34 at 224 px of `benchmarks.pictures`, for the speed. Both are calibrated on a half of the pictures and compared
on the other half. Pictures per second are of the graph alone, with one thread, in batches of 8.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter

from examples import textures

from benchmarks import pictures
from fastmar_export.exporter import Options, export_learner
from fastmar_runtime.predictor import Predictor

BATCH, REPEATS = 8, 5


def main() -> None:
    """Export both learners in all variants, and print the measurements."""
    for name, model in (("textures", textures.benchmark_model()), ("resnet34", pictures.benchmark_model())):
        files = [path.read_bytes() for path in sorted(model.pictures)]
        with tempfile.TemporaryDirectory() as folder:
            print(f"{name}: {len(files)} pictures")
            _measure(Path(folder), model.learner, files)


def _measure(folder: Path, learner: Path, files: list[bytes]) -> None:
    calibration = folder / "calibration"
    calibration.mkdir()
    for number, data in enumerate(files[::2]):
        (calibration / f"{number}.jpg").write_bytes(data)
    int8 = {"precision": "int8", "calibration": calibration, "max_changed": 1.0}
    plain: list[str] = []
    for name, options in (("float32", {}), ("int8", int8)):
        result = export_learner(learner, Options(name, output=folder, **options))  # type: ignore[arg-type]
        predictor = Predictor.open(result.path)
        labels = [answer["prediction"] for answer in predictor.predict(files[1::2])]
        plain = plain or labels
        changed = sum(one != other for one, other in zip(plain, labels, strict=True))
        size = result.path.stat().st_size / 2**20
        speed = _speed(predictor, files)
        print(f"  {name}: {speed:.1f} pictures/s, {size:.1f} MiB, {changed} of {len(labels)} labels changed")
    print(f"  {result.spec.notices[-1]['message']}")


def _speed(predictor: Predictor, files: list[bytes]) -> float:
    """Pictures per second of the graph: the fastest of several runs."""
    groups, _ = predictor.preprocess.groups(files[:BATCH])
    seconds = []
    for _ in range(REPEATS):
        started = perf_counter()
        for group in groups:
            predictor.run(group.inputs)
        seconds.append(perf_counter() - started)
    return min(len(files), BATCH) / min(seconds)


if __name__ == "__main__":
    main()
