"""Draws answers to pictures: masks and points over the picture, labels on contact sheets of thumbnails."""

from __future__ import annotations

import base64
import colorsys
import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont, ImageOps

Rgb = tuple[int, int, int]

# Distinct in hue and lightness, also for people with colour blindness; `colour` generates further ones.
COLOURS: tuple[Rgb, ...] = (
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (204, 121, 167), (213, 94, 0), (86, 180, 233), (240, 228, 66),
    (128, 62, 117), (140, 200, 60), (193, 0, 32), (0, 83, 91), (244, 200, 180),
)  # fmt: skip
PAPER, INK, FAINT, WARNING = (255, 255, 255), (24, 24, 24), (110, 110, 110), (190, 30, 30)
SMALLEST, LARGEST = 320, 1600  # pixels of the longer side of an overlay
OPACITY = 0.5
LINE, SWATCH, MARGIN = 22, 14, 10
LEGEND_WIDTH = 260
LEGEND_CLASSES = 40
THUMBNAIL, CAPTION, COLUMNS = 176, 40, 6
THUMBNAILS_A_SHEET = 60
FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "Arial.ttf", "arial.ttf")


@dataclass(frozen=True, slots=True)
class Caption:
    """The text under a thumbnail: the file's name and its answer; red if `refused`."""

    name: str
    text: str
    refused: bool = False


def colour(index: int) -> Rgb:
    """The colour of a class; constant for each index."""
    if index < len(COLOURS):
        return COLOURS[index]
    red, green, blue = colorsys.hsv_to_rgb((index * 0.618034) % 1.0, 0.45 + 0.5 * (index % 2), 0.95 - 0.2 * (index % 3))
    return round(255 * red), round(255 * green), round(255 * blue)


def mask_of(prediction: dict[str, Any]) -> Image.Image:
    """The predicted mask; each pixel has the index of its class."""
    with Image.open(io.BytesIO(base64.b64decode(prediction["mask"]))) as file:
        return file.copy()


def unseen_of(prediction: dict[str, Any]) -> int | None:
    """The value of a mask's pixels that the model did not see; None if it saw all."""
    return next((entry["index"] for entry in prediction["classes"] if entry["name"] is None), None)


def over_mask(
    picture: Image.Image, mask: Image.Image, classes: Sequence[tuple[int, str, float]], unseen: int | None = None
) -> Image.Image:
    """Draw `mask` in translucent colours over `picture`, which is resized to the mask, with a legend at the right.

    Args:
        picture: any mode and size.
        mask: mode L or I;16; each pixel has the index of its class.
        classes: index, name and share (0 to 1) of the classes of the legend, in order.
        unseen: the mask's value outside of the area that the model saw; the picture is dimmed there.
    """
    width, height = _display_size(mask.size)
    indices = np.asarray(mask)
    picture = picture.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
    overlay = Image.blend(picture, _colourise(indices).resize((width, height), Image.Resampling.NEAREST), OPACITY)
    if unseen is not None:
        outside = Image.fromarray(np.where(indices == unseen, 255, 0).astype(np.uint8)).resize((width, height))
        overlay.paste(Image.blend(picture, Image.new("RGB", picture.size), OPACITY), mask=outside)
    shown = list(classes)[:LEGEND_CLASSES]
    rows = len(shown) + (len(classes) > len(shown))
    sheet = Image.new("RGB", (width + LEGEND_WIDTH, max(height, 2 * MARGIN + rows * LINE)), PAPER)
    sheet.paste(overlay, (0, 0))
    draw, font = ImageDraw.Draw(sheet), _font(14)
    left = width + MARGIN
    for row, (index, name, share) in enumerate(shown):
        top = MARGIN + row * LINE
        draw.rectangle((left, top, left + SWATCH, top + SWATCH), fill=_over_grey(colour(index)), outline=INK)
        percent = _percent(share)
        room = LEGEND_WIDTH - 3 * MARGIN - SWATCH - draw.textlength(percent, font) - MARGIN
        draw.text((left + SWATCH + MARGIN, top - 1), _shorten(name, room, draw, font), fill=INK, font=font)
        draw.text((sheet.width - MARGIN, top - 1), percent, fill=FAINT, font=font, anchor="ra")
    if rows > len(shown):
        more = f"and {len(classes) - len(shown)} more"
        draw.text((left, MARGIN + len(shown) * LINE), more, fill=FAINT, font=font)
    return sheet


def with_points(picture: Image.Image, points: Sequence[Sequence[float]]) -> Image.Image:
    """Draw numbered dots at `points`, (x, y) in pixels; points outside of the picture are hollow dots at its edge."""
    size = _display_size(picture.size)
    scale_x, scale_y = size[0] / picture.width, size[1] / picture.height
    sheet = picture.convert("RGB").resize(size, Image.Resampling.BILINEAR)
    draw, radius = ImageDraw.Draw(sheet), max(4, max(size) // 110)
    font = _font(max(12, radius * 2))
    for number, (x, y) in enumerate(points):
        inside = 0 <= x <= picture.width and 0 <= y <= picture.height
        at = min(max(x * scale_x, 0), size[0] - 1), min(max(y * scale_y, 0), size[1] - 1)
        box = (at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius)
        ring = tuple(edge + grow for edge, grow in zip(box, (-2, -2, 2, 2), strict=True))
        draw.ellipse(ring, outline=PAPER, width=2)
        draw.ellipse(box, fill=colour(number) if inside else None, outline=INK, width=2)
        if len(points) > 1:
            right = at[0] + 4 * radius < size[0]
            text_at = (at[0] + (radius + 4) * (1 if right else -1), at[1])
            anchor = "lm" if right else "rm"
            draw.text(text_at, str(number), fill=PAPER, font=font, anchor=anchor, stroke_width=2, stroke_fill=INK)
    return sheet


def contact_sheet(pictures: Sequence[Image.Image | None], captions: Sequence[Caption]) -> Image.Image:
    """Draw thumbnails in rows, each with its caption; None is a picture that can't be opened."""
    columns = max(1, min(COLUMNS, len(pictures)))
    rows = -(-len(pictures) // columns)
    cell = THUMBNAIL + MARGIN, THUMBNAIL + CAPTION + MARGIN
    sheet = Image.new("RGB", (columns * cell[0] + MARGIN, rows * cell[1] + MARGIN), PAPER)
    draw, small, font = ImageDraw.Draw(sheet), _font(12), _font(14)
    for position, (picture, caption) in enumerate(zip(pictures, captions, strict=True)):
        left, top = MARGIN + position % columns * cell[0], MARGIN + position // columns * cell[1]
        frame = (left, top, left + THUMBNAIL - 1, top + THUMBNAIL - 1)
        if picture is None:
            draw.rectangle(frame, fill=(236, 236, 236))
            middle = (left + THUMBNAIL // 2, top + THUMBNAIL // 2)
            draw.text(middle, "no picture", fill=FAINT, font=font, anchor="mm")
        else:
            thumbnail = picture.convert("RGB")
            thumbnail.thumbnail((THUMBNAIL, THUMBNAIL))
            place = left + (THUMBNAIL - thumbnail.width) // 2, top + THUMBNAIL - thumbnail.height
            sheet.paste(thumbnail, place)
        if caption.refused:
            draw.rectangle(frame, outline=WARNING, width=3)
        text = _shorten(caption.text, THUMBNAIL, draw, font)
        draw.text((left, top + THUMBNAIL + 3), text, fill=WARNING if caption.refused else INK, font=font)
        name = _shorten(caption.name, THUMBNAIL, draw, small)
        draw.text((left, top + THUMBNAIL + 21), name, fill=FAINT, font=small)
    return sheet


def open_picture(source: Path | IO[bytes], *, apply_exif: bool = False) -> Image.Image | None:
    """Open a picture file, with its EXIF orientation applied if `apply_exif`; None if Pillow can't open it."""
    try:
        with Image.open(source) as file:
            file.load()
            return ImageOps.exif_transpose(file) if apply_exif else file.copy()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _display_size(size: tuple[int, int]) -> tuple[int, int]:
    """`size`, enlarged by a whole number or reduced, to between SMALLEST and LARGEST."""
    longer = max(size)
    if longer < SMALLEST:
        times = -(-SMALLEST // longer)
        return size[0] * times, size[1] * times
    if longer > LARGEST:
        return max(1, round(size[0] * LARGEST / longer)), max(1, round(size[1] * LARGEST / longer))
    return size


def _colourise(indices: npt.NDArray[Any]) -> Image.Image:
    """Map indices of classes to colours; the colours repeat after 256 classes."""
    image = Image.fromarray(indices.astype(np.uint8)).convert("P")
    image.putpalette([part for index in range(256) for part in colour(index)])
    return image.convert("RGB")


def _over_grey(rgb: Rgb) -> Rgb:
    """A colour blended with grey, as in an overlay."""
    red, green, blue = (round(part * OPACITY + 128 * (1 - OPACITY)) for part in rgb)
    return red, green, blue


def _percent(share: float) -> str:
    return "< 0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %"


def _shorten(text: str, width: float, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont) -> str:
    """`text` on one line, with its middle cut out if it is wider than `width`."""
    text = " ".join(text.split())
    if draw.textlength(text, font) <= width:
        return text
    keep = len(text)
    while keep > 2 and draw.textlength(text[: keep // 2] + "..." + text[-(keep - keep // 2) :], font) > width:
        keep -= 1
    return text[: keep // 2] + "..." + text[-(keep - keep // 2) :]


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """The first installed font with many characters, else Pillow's own, which has those of English."""
    for name in FONTS:
        with suppress(OSError):
            return ImageFont.truetype(name, size)
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):  # Pillow without FreeType has one font size
        raise TypeError("this Pillow was built without FreeType")
    return font
