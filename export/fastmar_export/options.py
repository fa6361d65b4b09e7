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
        name, version: of the model.
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
        precision: ``"int8"`` for LSTM layers with 8-bit weights; None for float32.
        max_changed: largest share of predictions for the reference that `precision` may change; None for the default.
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
    text_column: Sequence[str] | None = None
    modules: Sequence[str] = ()
