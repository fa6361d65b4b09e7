"""What the user may say about an export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FIRST_VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class Options:
    """What the user may say about an export.

    Attributes:
        name, version: of the model.
        output: folder that the archive goes to.
        activation: how outputs become predictions, where the loss does not tell.
        ignored_callbacks: callbacks, by class name, that change no answer.
        ui: YAML file that says how forms show the model.
        reference: CSV of rows that tell defaults and ranges of the fields.
        force: replace an archive of the same name, whatever it holds.
        live: the pickle was written for this export alone, so its digest does not identify the learner.
        exif_transpose: turn photos as their cameras say, which fastai does not.
        picture_size: width and height of all pictures, of a learner without Resize whose network takes no others.
        max_pixels: that the network may be given, of a learner without Resize; None takes the usual limit.
        modules: top packages of the user's own that layers of the network may be imported from.
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
    modules: Sequence[str] = ()
