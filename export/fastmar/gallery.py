"""Writes drawn answers to picture files, for `fastmar predict --save`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from fastmar import drawing
from fastmar.drawing import Caption
from fastmar_contract import summary
from fastmar_contract.agreement import is_mask
from fastmar_contract.errors import FastmarError

SHEET = "answers"


class GalleryUnwritable(FastmarError):
    """The folder for the pictures can't be written to."""

    code = "gallery_unwritable"


class Gallery:
    """Draws answers: a PNG for each mask or set of points; labels and refusals on contact sheets.

    `apply_exif`: whether the model applies the EXIF orientation of photos.
    """

    def __init__(self, folder: Path, *, apply_exif: bool = False) -> None:
        self._folder = folder
        self._apply_exif = apply_exif
        self._written: list[Path] = []
        self._names: set[str] = set()
        self._thumbnails: list[Image.Image | None] = []
        self._captions: list[Caption] = []
        self._sheets = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from error

    def add(self, path: Path, answer: dict[str, Any]) -> None:
        """Add the answer to the picture in `path`."""
        if "error" not in answer and is_mask(answer):
            self._write(self._over_mask(path, answer["prediction"]), path.stem, path.name)
        elif "error" not in answer and summary.is_points(answer):
            picture = drawing.open_picture(path, apply_exif=self._apply_exif)
            if picture is not None:
                self._write(drawing.with_points(picture, answer["prediction"]), path.stem, path.name)
        else:
            self._add_to_sheet(path, answer)

    def finish(self) -> list[Path]:
        """Write the last sheet, and return the paths of all written files."""
        self._write_sheet()
        return self._written

    def _over_mask(self, path: Path, answer: dict[str, Any]) -> Image.Image:
        mask = drawing.mask_of(answer)
        picture = drawing.open_picture(path, apply_exif=self._apply_exif)
        if picture is not None and picture.size == mask.size[::-1] != mask.size:
            picture = drawing.open_picture(path, apply_exif=True)  # servers of older archives don't report it
        picture = picture or Image.new("RGB", mask.size, drawing.PAPER)
        return drawing.over_mask(picture, mask, summary.mask_shares(answer), drawing.unseen_of(answer))

    def _add_to_sheet(self, path: Path, answer: dict[str, Any]) -> None:
        is_refused = "error" in answer
        text = "refused" if is_refused else _label(answer)
        picture = drawing.open_picture(path, apply_exif=self._apply_exif)
        if picture is not None:
            picture = picture.convert("RGB")
            picture.thumbnail((drawing.THUMBNAIL, drawing.THUMBNAIL))  # keep only the thumbnail in memory
        self._thumbnails.append(picture)
        self._captions.append(Caption(path.name, text, is_refused))
        if len(self._captions) == drawing.THUMBNAILS_A_SHEET:
            self._write_sheet()

    def _write_sheet(self) -> None:
        if not self._captions:
            return
        self._sheets += 1
        sheet = drawing.contact_sheet(self._thumbnails, self._captions)
        self._write(sheet, SHEET if self._sheets == 1 else f"{SHEET}-{self._sheets}", SHEET)
        self._thumbnails, self._captions = [], []

    def _write(self, picture: Image.Image, stem: str, full_name: str) -> None:
        """Write to the input's stem with .png, or to its full name with .png if another input has that stem."""
        name, number = stem, 2
        if name in self._names:
            name = full_name
        while name in self._names:
            name, number = f"{full_name}-{number}", number + 1
        self._names.add(name)
        path = self._folder / f"{name}.png"
        try:
            picture.save(path)
        except OSError as error:
            raise _unwritable(path, error) from error
        self._written.append(path)


def _label(answer: dict[str, Any]) -> str:
    text = summary.describe_prediction(answer)
    probability = answer.get("probabilities", {}).get(answer["prediction"] if "index" in answer else None)
    return text if probability is None else f"{text} {probability:.0%}"


def _unwritable(path: Path, error: OSError) -> GalleryUnwritable:
    return GalleryUnwritable(f"{path} can't be written ({error.strerror or error}).", fix="choose a writable folder.")
