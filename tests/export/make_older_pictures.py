"""Exports a picture learner, and writes fastai's answers; `test_older_fastai.py` runs it with an older fastai.

Argument: folder to write to.
"""

import json
import sys
from pathlib import Path

import fastai
import numpy as np
from fastai.vision.all import ImageDataLoaders, Resize, aug_transforms, resnet18, vision_learner
from PIL import Image

folder = Path(sys.argv[1])
pictures = folder / "pictures"
rng = np.random.default_rng(0)
for label in ("noise", "stripes"):
    (pictures / label).mkdir(parents=True)
    for number in range(12):
        pixels = rng.integers(0, 256, (60 + number, 90, 3), dtype=np.uint8)
        if label == "stripes":
            pixels[:, ::2] = number * 10
        Image.fromarray(pixels).save(pictures / label / f"{number}.png")
dls = ImageDataLoaders.from_folder(
    pictures,
    valid_pct=0.25,
    seed=0,
    item_tfms=Resize(64),
    batch_tfms=aug_transforms(size=48),
    bs=6,
    num_workers=0,
    device="cpu",
)
learn = vision_learner(dls, resnet18, pretrained=False, normalize=True)
with learn.no_bar(), learn.no_logging():
    learn.fit(1, 1e-3)
    learn.export(folder / "pictures.pkl")
    paths = sorted(pictures.rglob("*.png"))[::3]
    answers = [[str(path), learn.predict(path)[2].tolist()] for path in paths]
(folder / "pictures.json").write_text(json.dumps({"fastai": fastai.__version__, "answers": answers}))
