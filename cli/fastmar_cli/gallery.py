"""`predict --save`: answers as files of pictures."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

from PIL import Image

from fastmar_cli import overlays
from fastmar_cli.overlays import Caption
from fastmar_contract import summary as shown
from fastmar_contract.agreement import is_mask
from fastmar_contract.errors import FastmarError

SHEET = "answers"


class GalleryUnwritable(FastmarError):
    """The folder for pictures of answers can't be written to."""

    code = "gallery_unwritable"


class Gallery:
    """Takes pictures with their answers: masks and points become a PNG each, labels and refusals go on sheets.

    `upright`: the model turns photos as their cameras say, and so they are shown.
    """

    def __init__(self, folder: Path, *, upright: bool = False) -> None:
        self._folder = folder
        self._upright = upright
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
        """Take the answer to the picture in `path`."""
        if "error" not in answer and is_mask(answer):
            self._write(self._over_mask(path, answer["prediction"]), path.stem, path.name)
        elif "error" not in answer and shown.is_points(answer):
            picture = overlays.opened(path, upright=self._upright)
            if picture is not None:
                self._write(overlays.with_points(picture, answer["prediction"]), path.stem, path.name)
        else:
            self._on_sheet(path, answer)

    def finish(self) -> list[Path]:
        """Write what is left; the value is all files that were written."""
        self._write_sheet()
        return self._written

    def _over_mask(self, path: Path, answer: dict[str, Any]) -> Image.Image:
        with Image.open(io.BytesIO(base64.b64decode(answer["mask"]))) as file:
            file.load()
            mask = file.copy()
        picture = overlays.opened(path, upright=self._upright)
        if picture is not None and picture.size == mask.size[::-1] != mask.size:
            picture = overlays.opened(path, upright=True)  # an older archive's server does not say that it turns photos
        unseen = [entry["index"] for entry in answer["classes"] if entry["name"] is None]
        picture = picture or Image.new("RGB", mask.size, overlays.PAPER)
        return overlays.over_mask(picture, mask, shown.mask_shares(answer), unseen[0] if unseen else None)

    def _on_sheet(self, path: Path, answer: dict[str, Any]) -> None:
        refused = "error" in answer
        text = "refused" if refused else _label(answer)
        picture = overlays.opened(path, upright=self._upright)
        if picture is not None:
            picture = picture.convert("RGB")
            picture.thumbnail((overlays.THUMBNAIL, overlays.THUMBNAIL))  # the large one need not stay in memory
        self._thumbnails.append(picture)
        self._captions.append(Caption(path.name, text, refused))
        if len(self._captions) == overlays.THUMBNAILS_A_SHEET:
            self._write_sheet()

    def _write_sheet(self) -> None:
        if not self._captions:
            return
        self._sheets += 1
        sheet = overlays.contact_sheet(self._thumbnails, self._captions)
        self._write(sheet, SHEET if self._sheets == 1 else f"{SHEET}-{self._sheets}", SHEET)
        self._thumbnails, self._captions = [], []

    def _write(self, picture: Image.Image, stem: str, full_name: str) -> None:
        """Under the input's name with .png; under all of its name where another input has taken that one."""
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
    text = shown.describe_prediction(answer)
    probability = answer.get("probabilities", {}).get(answer["prediction"] if "index" in answer else None)
    return text if probability is None else f"{text} {probability:.0%}"


def _unwritable(path: Path, error: OSError) -> GalleryUnwritable:
    return GalleryUnwritable(
        f"{path} can't be written ({error.strerror or error}).", fix="name a folder that you may write to."
    )
