"""Options of an export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FIRST_VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class Options:
    """Options of an export.

    Attributes:
        name, version: the name and the version of the model.
        output: folder of the archive.
        activation: softmax, sigmoid or identity, for a loss that does not determine it.
        ignored_callbacks: class names of callbacks that do not change answers.
        ui: YAML file with the presentation of the model in forms.
        reference: training data, from which defaults and ranges of the fields and the profile are computed.
        force: whether to replace any archive of the same name.
        live: whether the pickle was written from a learner in memory, only for this export. Its digest does not
            identify the learner then, so an archive with the same content is replaced without `force`.
        exif_transpose: whether to rotate photos by their EXIF orientation, which fastai does not do.
        picture_size: width and height of all pictures, for a learner without Resize whose network needs one size.
        max_pixels: limit of a picture's pixels, for a learner without Resize; None for the default limit.
        precision: ``"int8"`` for 8-bit weights: of the LSTM layers for texts, of all layers for pictures; None for
            float32.
        max_changed: largest share of predictions that `precision` may change; None for the default.
        calibration: folder of pictures, with which `precision` of a picture model is prepared and measured.
        tta: number of augmented copies of each picture, for the answers of `learn.tta`; None for those of
            `learn.predict`.
        tta_beta: share of the plain picture in the answer; None for 0.25.
        tta_use_max: whether answers are the maximum of all copies instead of a mean.
        with_samples: number of small copies of the pictures in the folder `reference` that the archive contains.
        text_column: names of the columns with texts, in the order of training; None for the recorded names.
        modules: top-level packages of the user from which layers of the network may be imported.
    """

    name: str
    version: str = FIRST_VERSION
    output: Path = Path("model_store")
    activation: str | None = None
    ignored_callbacks: Sequence[str] = ()
    ui: Path | None = None
    reference: Path | None = None
    force: bool = False
    live: bool = False
    exif_transpose: bool = False
    picture_size: tuple[int, int] | None = None
    max_pixels: int | None = None
    precision: str | None = None
    max_changed: float | None = None
    calibration: Path | None = None
    tta: int | None = None
    tta_beta: float | None = None
    tta_use_max: bool | None = None
    with_samples: int | None = None
    text_column: Sequence[str] | None = None
    modules: Sequence[str] = ()
